"""Clones at providers: made once and never twice, paid once, and within the room of an account."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from fakes.minimax.account import UNUSED_S
from policies.breaker import CLOSED
from proxy.engines.providers.cloud_engine import CloudEngine
from proxy.feature_list import open_store
from proxy.features.clones import records
from proxy.features.clones.clone_tasks import CloneTasks
from proxy.features.clones.recordings import CloneRecordings
from proxy.features.own_voices.records import add_clip
from proxy.storage import blobs, costs, samples
from proxy.storage.blobs import BlobRow
from proxy.storage.schema import installation_id
from proxy.storage.store import ALWAYS, Statement, StorageFailed
from speech_engine import Audio, ModelInfo, Speak
from speech_engine.testing import job
from tests.features.clones.clone_rig import (
    ADD,
    ENGINES,
    CloneRig,
    ToneSource,
    clone_rig,
    owned_voice,
    voices_at,
)
from tests.features.consents.granted import granted
from tests.features.own_voices.saving import saved
from tests.features.webhooks.rig import quiet_courier
from tests.speech_engine.host.fakes import read


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[CloneRig]:
    async with open_store("sqlite", tmp_path) as store, clone_rig(store) as opened:
        yield opened


def close_breakers(rig: CloneRig) -> None:
    """As if the keys had rested long enough."""
    for _, engine in rig.engines.items():
        assert isinstance(engine, CloudEngine)
        for key in engine.keys:
            key.breaker = CLOSED


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_clone_is_made_under_the_name_of_this_database(rig: CloneRig, engine: str) -> None:
    id_ = await rig.want(await owned_voice(rig.store), engine)
    await rig.step()
    row = await rig.row(id_)
    installation = await installation_id(rig.store, "")
    assert (row.state, row.error) == ("ready", "")
    assert row.name.startswith(f"voxgate-{installation}-")
    assert voices_at(rig, engine) == [row.name]
    assert row.engine_voice == (row.name if engine == "minimax" else "fakeClone01")


async def test_the_fee_is_a_cost_of_the_account(rig: CloneRig) -> None:
    voice = await owned_voice(rig.store)
    await rig.want(voice)
    await rig.step()
    assert rig.minimax.account.fees == 1
    assert await costs.sum_costs(rig.store, voice.account, 0, is_account=True) == 1_500_000


@pytest.mark.parametrize("engine", ENGINES)
async def test_after_a_lost_answer_there_is_one_clone_and_not_two(rig: CloneRig, engine: str) -> None:
    rig.providers[engine].fail("truncated", path=ADD[engine])
    id_ = await rig.want(await owned_voice(rig.store), engine)
    await rig.step()
    row = await rig.row(id_)
    assert (row.state, row.tries) == ("making", 1)
    assert row.due > await rig.store.now()
    await rig.later()
    assert (await rig.row(id_)).state == "ready"
    assert voices_at(rig, engine) == [row.name]


@pytest.mark.parametrize("engine", ENGINES)
async def test_what_the_provider_did_not_make_is_asked_for_again_under_the_same_name(
    rig: CloneRig, engine: str
) -> None:
    rig.providers[engine].fail("5xx", path=ADD[engine], status=500)
    id_ = await rig.want(await owned_voice(rig.store), engine)
    await rig.step()
    name = (await rig.row(id_)).name
    await rig.later()
    assert (await rig.row(id_)).state == "ready"
    assert voices_at(rig, engine) == [name]


async def test_a_name_whose_clone_has_lapsed_is_replaced(rig: CloneRig) -> None:
    now = 1000.0
    rig.minimax.account.clock = lambda: now
    rig.providers["minimax"].fail("truncated", path="voice_clone")
    id_ = await rig.want(await owned_voice(rig.store))
    await rig.step()
    name = (await rig.row(id_)).name
    now += UNUSED_S + 1
    await rig.later()
    row = await rig.row(id_)
    assert row.state == "ready"
    assert row.name != name
    assert voices_at(rig, "minimax") == [row.name]


async def test_many_wishes_and_workers_make_one_clone(rig: CloneRig) -> None:
    voice = await owned_voice(rig.store)
    makers = [
        CloneTasks(
            rig.store,
            rig.engines,
            CloneRecordings(rig.store, saved(rig.store), ToneSource(), granted(rig.store)),
            rig.clone_tasks.bills,
            quiet_courier(rig.store),
        )
        for _ in range(4)
    ]
    found = await asyncio.gather(*(rig.want(voice) for _ in range(8)))
    await asyncio.gather(*(clone_tasks.look() for clone_tasks in makers))
    await asyncio.gather(*(clone_tasks.finish() for clone_tasks in makers))
    assert len(set(found)) == 1
    assert (await rig.row(found[0])).state == "ready"
    assert len(rig.minimax.account.voices) == 1
    assert rig.minimax.account.fees == 1


async def test_a_recording_that_is_refused_fails_with_a_reason_for_its_owner(rig: CloneRig) -> None:
    rig.providers["minimax"].fail("error_in_200", path="voice_clone", code="2037")
    id_ = await rig.want(await owned_voice(rig.store))
    await rig.step()
    row = await rig.row(id_)
    assert (row.state, row.error) == (
        "failed",
        "The sample is too short or too long: 10 seconds to 5 minutes are needed.",
    )
    await rig.later()
    assert rig.minimax.account.voices == {}
    assert (await rig.row(id_)).state == "failed"


async def test_it_gives_up_after_many_tries_and_a_new_wish_goes_on(rig: CloneRig) -> None:
    voice = await owned_voice(rig.store)
    rig.providers["minimax"].fail("error_in_200", path="/v1/", code="1000", count=1000)
    id_ = await rig.want(voice)
    for _ in range(12):
        close_breakers(rig)
        await rig.later()
    row = await rig.row(id_)
    assert (row.state, row.error) == ("failed", "MiniMax failed inside.")
    rig.providers["minimax"].reset()
    close_breakers(rig)
    assert await rig.want(voice) == id_
    await rig.step()
    assert (await rig.row(id_)).state == "ready"


@pytest.mark.parametrize(
    ("voice", "error"),
    [
        ({"providers": '["elevenlabs"]'}, "The consent of the voice does not name 'minimax'."),
        ({"plan": "other"}, "Your plan does not have 'minimax'."),
        ({"plan": "local"}, "Your plan keeps recordings on this server, and 'minimax' is elsewhere."),
        ({"seconds": 9.0}, "'minimax' needs a recording of 10 seconds or more to clone a voice."),
    ],
)
async def test_nothing_leaves_the_server_without_a_right_to_it(
    rig: CloneRig, voice: dict[str, object], error: str
) -> None:
    id_ = await rig.want(await owned_voice(rig.store, **voice))  # type: ignore[arg-type]
    rig.providers["minimax"].reset()
    await rig.step()
    row = await rig.row(id_)
    assert (row.state, row.error, row.name) == ("failed", error, "")
    assert rig.providers["minimax"].seen == []


async def test_a_consent_that_is_gone_names_no_provider(rig: CloneRig) -> None:
    id_ = await rig.want(await owned_voice(rig.store, providers='["minimax"]'))
    await rig.store.write(Statement("DELETE FROM consents"))
    rig.providers["minimax"].reset()
    await rig.step()
    assert (await rig.row(id_)).error == "The consent of the voice does not name 'minimax'."
    assert rig.providers["minimax"].seen == []


async def test_a_voice_that_gives_way_is_the_one_that_was_not_used_for_longest(rig: CloneRig) -> None:
    rig.elevenlabs.voice_slots = len(rig.elevenlabs.voices) + 2
    first, second, third = [await owned_voice(rig.store) for _ in range(3)]
    rows = [await rig.want(each, "elevenlabs") for each in (first, second)]
    await rig.step()
    await _age(rig)
    await _speak(rig, (await rig.row(rows[0])).engine_voice)
    rows.append(await rig.want(third, "elevenlabs"))
    await rig.step()
    now = await records.list_of_voices(rig.store, [first.id, second.id, third.id])
    assert {voice: each[0].state for voice, each in now.items()} == {
        first.id: "ready",
        second.id: "expired",
        third.id: "ready",
    }
    assert now[second.id][0].error == "Another voice has its slot at the provider."
    assert len(voices_at(rig, "elevenlabs")) == 2
    await rig.later()
    assert await records.get(rig.store, rows[1]) is None


async def test_no_voice_gives_way_without_an_addition(rig: CloneRig) -> None:
    rig.elevenlabs.voice_slots = len(rig.elevenlabs.voices) + 1
    rig.elevenlabs.most_additions = 1
    await rig.want(await owned_voice(rig.store), "elevenlabs")
    await rig.step()
    await _age(rig)
    id_ = await rig.want(await owned_voice(rig.store), "elevenlabs")
    await rig.step()
    row = await rig.row(id_)
    assert (row.state, row.name) == ("wanted", "")
    assert row.error == "The provider's account may not add another voice for now."
    assert len(voices_at(rig, "elevenlabs")) == 1


async def _age(rig: CloneRig) -> None:
    """Let all clones have spoken two hours ago."""
    for row in await records.list_all(rig.store):
        await rig.store.write(
            Statement("UPDATE bindings SET used = used - 7200000000 WHERE id = :id", {"id": row.id})
        )


async def _speak(rig: CloneRig, voice: str) -> None:
    spoken = job("Hi.", model="eleven_v3", voice=voice)
    await read(rig.engines["elevenlabs"].open(Speak(msgspec.structs.replace(spoken, credential="default"))))


async def test_a_stream_that_was_left_has_used_its_clone(rig: CloneRig) -> None:
    voice = await owned_voice(rig.store)
    id_ = await rig.want(voice, "elevenlabs")
    await rig.step()
    await rig.store.write(Statement("UPDATE bindings SET used = 1"))
    spoken = job("Hi.", model="eleven_v3", voice=(await rig.row(id_)).engine_voice)
    work = Speak(msgspec.structs.replace(spoken, credential="default"))
    stream = rig.engines["elevenlabs"].open(work)
    while not isinstance(await stream.next_event(), Audio):
        pass
    await stream.close()
    # The database is away for a moment.
    await rig.store.write(Statement("ALTER TABLE bindings RENAME TO away"))
    with pytest.raises(StorageFailed):
        await rig.clone_tasks.look()
    await rig.store.write(Statement("ALTER TABLE away RENAME TO bindings"))
    await rig.clone_tasks.look()
    used = (await rig.row(id_)).used
    assert used is not None
    assert used > 1
    await _age(rig)
    await rig.clone_tasks.look()
    assert (await rig.row(id_)).used == used - 7_200_000_000, "it was noted once"


async def test_a_provider_gets_no_clip(rig: CloneRig) -> None:
    """It is longer than the first recording. But it can be deleted alone, which a clone would not know."""
    voice = await owned_voice(rig.store)
    (first,) = await samples.list_of_voice(rig.store, voice.id)
    await blobs.put(rig.store, BlobRow(voice.account, "cd" * 32, "w", 9))
    clip = msgspec.structs.replace(first, id="clip_1", digest="cd" * 32, seconds=first.seconds + 9.0)
    assert await add_clip(rig.store, clip, 25, ALWAYS)
    asked: list[str] = []

    class Source(ToneSource):
        async def pcm(self, tenant: str, digest: str, info: ModelInfo) -> bytes:
            asked.append(digest)
            return await super().pcm(tenant, digest, info)

    made = await rig.row(await rig.want(voice))
    recordings = CloneRecordings(rig.store, saved(rig.store), Source(), granted(rig.store))
    place = rig.clone_tasks.targets.find_target(made.engine, made.credential)
    request = await recordings.build_request(made, place, None)
    assert request is not None
    assert (asked, len(request.samples)) == ([first.digest], 1)
