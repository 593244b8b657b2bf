"""Kill -9 at every step of a clone: in the end the provider has one voice, and it is the one that we know."""

import asyncio
from pathlib import Path

import pytest

from fakes.provider import Provider, RequestRecord
from policies.price import MICRO
from proxy.feature_list import open_store
from proxy.features.admin.verify import verify
from proxy.features.clones import records
from proxy.features.clones.records import CloneTask
from proxy.storage import usage
from tests import forked
from tests.features.clones.clone_rig import Clouds, OwnedVoice, clone_rig, clouds, owned_voice, voices_at
from tests.tables import soak

pytestmark = pytest.mark.slow

BEFORE, AFTER = "hang_before", "hang_after"

STEPS = [
    ("minimax", AFTER, "files/upload", 0),
    ("minimax", AFTER, "voice_clone", 1),
    ("elevenlabs", AFTER, "/v1/voices/add", 1),
]
"""The engine, where its provider falls silent, and how many voices it has made until then."""

MORE_STEPS = [
    ("minimax", BEFORE, "files/upload", 0),
    ("minimax", AFTER, "t2a_v2", 1),
    ("elevenlabs", BEFORE, "/v1/voices/add", 0),
]
"""For `make soak`."""


@pytest.mark.parametrize(("engine", "fault", "path", "made"), [*STEPS, *soak(*MORE_STEPS)])
async def test_a_killed_worker_leaves_one_known_voice(
    tmp_path: Path, engine: str, fault: str, path: str, made: int
) -> None:
    async with clouds() as at:
        _, id_ = await _want_and_kill(tmp_path, at, engine, fault, path)
        async with open_store("sqlite", tmp_path) as store, clone_rig(store, at) as rig:
            assert len(voices_at(rig, engine)) == made
            await rig.step()
            assert (await rig.row(id_)).state == "making", "its lease is not over"
            await rig.later()
            row = await rig.row(id_)
            assert row.state == "ready"
            assert voices_at(rig, engine) == [row.name]
            assert engine == "elevenlabs" or at.minimax.account.fees == 1
            (bill,) = await usage.list_newest(store)
            assert (bill.id, bill.credits) == (id_, 300 * MICRO), "what it held outlived the kill, once"
            assert (await verify(store)).is_clean


@pytest.mark.parametrize(
    ("engine", "path"), [("minimax", "voice_clone"), *soak(("elevenlabs", "voices/add"))]
)
async def test_a_killed_worker_and_an_erasure_leave_nothing(tmp_path: Path, engine: str, path: str) -> None:
    async with clouds() as at:
        voice, _ = await _want_and_kill(tmp_path, at, engine, AFTER, path)
        async with open_store("sqlite", tmp_path) as store, clone_rig(store, at) as rig:
            assert len(voices_at(rig, engine)) == 1
            await rig.erase(voice)
            await rig.later()
            assert voices_at(rig, engine) == []
            assert await records.has_no_copies(store, voice.id)


async def _want_and_kill(
    data: Path, at: Clouds, engine: str, fault: str, path: str
) -> tuple[OwnedVoice, str]:
    """Have a voice cloned by a worker of its own, and kill it where the provider falls silent."""
    async with open_store("sqlite", data) as store:
        voice = await owned_voice(store, plan="pro")
        task = CloneTask(
            voice=voice.id,
            account=voice.account,
            revision=1,
            engine=engine,
            credential="default",
            payer="key_ada",
        )
        row = await records.add_task(store, task)
        assert row is not None
    provider = at.providers[engine]
    provider.fail("hang_after" if fault == AFTER else "hang_before", path=path)
    worker = await asyncio.to_thread(
        forked.program, "tests.features.clones.clone_program", str(data), *at.urls.values()
    )
    try:
        await _until_silent(provider, path, is_answered=fault == AFTER)
    finally:
        worker.end()
    await provider.until(lambda: provider.open == 0)
    return voice, row.id


async def _until_silent(provider: Provider, path: str, *, is_answered: bool) -> None:
    def is_there(seen: RequestRecord) -> bool:
        return path in seen.path and (seen.status is not None or not is_answered)

    await provider.until(lambda: any(map(is_there, provider.seen)), within_s=30.0)
