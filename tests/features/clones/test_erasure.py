"""Clones of erased voices: whatever was under way, the provider keeps nothing in the end."""

from typing import Any

import pytest

from proxy.errors import NotFound
from proxy.features.clones import records
from tests.features.clones.clone_rig import ADD, DELETE, ENGINES, CloneRig, clone_rig, owned_voice, voices_at
from tests.fixtures import opened

rig = opened(clone_rig, "store")


async def test_a_voice_that_is_gone_is_not_wanted(rig: CloneRig) -> None:
    voice = await owned_voice(rig.store)
    await rig.erase(voice)
    with pytest.raises(NotFound):
        await rig.want(voice)


@pytest.mark.parametrize("engine", ENGINES)
async def test_an_erased_voice_is_deleted_at_its_provider(rig: CloneRig, engine: str) -> None:
    voice = await owned_voice(rig.store)
    await rig.want(voice, engine)
    await rig.step()
    assert voices_at(rig, engine)
    await rig.erase(voice)
    await rig.step()
    assert voices_at(rig, engine) == []
    assert await records.has_no_copies(rig.store, voice.id)


@pytest.mark.parametrize("engine", ENGINES)
async def test_while_the_provider_is_away_it_stays_doomed_and_then_is_done(
    rig: CloneRig, engine: str
) -> None:
    voice = await owned_voice(rig.store)
    id_ = await rig.want(voice, engine)
    await rig.step()
    await rig.erase(voice)
    for _ in range(3):
        rig.providers[engine].fail("5xx", path=DELETE[engine])
        await rig.later()
        assert (await rig.row(id_)).state == "doomed"
        assert not await records.has_no_copies(rig.store, voice.id)
    await rig.later()
    assert voices_at(rig, engine) == []
    assert await records.has_no_copies(rig.store, voice.id)


async def test_a_voice_that_is_erased_before_its_recording_is_read_is_asked_of_nobody(
    rig: CloneRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = await owned_voice(rig.store)
    id_ = await rig.want(voice, "elevenlabs")
    recordings = rig.clone_tasks._recordings
    build = recordings.build_request

    async def erase_first(*record: Any) -> Any:
        await rig.erase(voice)
        return await build(*record)

    monkeypatch.setattr(recordings, "build_request", erase_first)
    await rig.clone_tasks.look()
    await rig.clone_tasks.finish()
    row = await rig.row(id_)
    assert (row.state, row.lease) == ("doomed", 0)
    await rig.step()
    assert await records.has_no_copies(rig.store, voice.id)
    assert not any(ADD["elevenlabs"] in seen.path for seen in rig.providers["elevenlabs"].seen)


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_voice_that_is_erased_while_it_is_cloned_leaves_nothing_behind(
    rig: CloneRig, engine: str
) -> None:
    voice = await owned_voice(rig.store)
    provider = rig.providers[engine]
    provider.reset()
    provider.fail("slow", path=ADD[engine], piece_bytes=1)
    await rig.want(voice, engine)
    await rig.clone_tasks.look()
    await provider.until(lambda: any(ADD[engine] in seen.path for seen in provider.seen))
    await rig.erase(voice)
    await rig.clone_tasks.finish()
    assert any(ADD[engine] in seen.path and seen.status == 200 for seen in provider.seen), "it was made"
    assert voices_at(rig, engine) == []
    assert await records.has_no_copies(rig.store, voice.id)


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_lost_answer_and_an_erasure_leave_nothing_behind(rig: CloneRig, engine: str) -> None:
    voice = await owned_voice(rig.store)
    rig.providers[engine].fail("truncated", path=ADD[engine])
    await rig.want(voice, engine)
    await rig.step()
    await rig.erase(voice)
    await rig.later()
    assert voices_at(rig, engine) == []
    assert await records.has_no_copies(rig.store, voice.id)
