"""How many clones are under way at once, and for whom."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.feature_list import open_store
from proxy.features.clones.clone_tasks import CloneTasks
from proxy.features.clones.records import CloneRecord
from proxy.features.clones.rules import State
from tests.features.clones.clone_rig import config, opened


def record(
    id_: str,
    account: str = "",
    state: State = "wanted",
    engine: str = "cloud",
    credential: str = "default",
) -> CloneRecord:
    return CloneRecord(
        id=id_,
        voice=f"voice_{id_}",
        account=account or f"acc_{id_}",
        revision=1,
        state=state,
        engine=engine,
        credential=credential,
    )


@pytest.fixture
def gate() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
async def clones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: asyncio.Event
) -> AsyncIterator[CloneTasks]:
    """A maker whose attempts end when the gate opens."""

    async def work(_maker: CloneTasks, _held: CloneRecord) -> None:
        await gate.wait()

    monkeypatch.setattr(CloneTasks, "work", work)
    nowhere = config({"minimax": "http://127.0.0.1:9", "elevenlabs": "http://127.0.0.1:9"})
    async with open_store("sqlite", tmp_path) as store, opened(store, nowhere) as (_, clone_tasks):
        yield clone_tasks


async def test_each_place_has_so_many_clones_and_as_many_deletions(
    clones: CloneTasks, gate: asyncio.Event
) -> None:
    for number in range(4):
        assert clones.may_start(record(str(number)))
        clones.start_held(record(str(number)))
    assert not clones.may_start(record("more"))
    assert clones.may_start(record("more", credential="studio"))
    assert clones.may_start(record("more", engine="other"))
    assert clones.may_start(record("more", state="doomed"))
    gate.set()
    await clones.finish()
    assert clones.may_start(record("more"))
