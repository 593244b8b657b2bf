"""Clones beside speech: what one account orders takes nothing from what the others hear."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fakes.minimax.account import SYSTEM_VOICES
from proxy.storage import open_store
from speech_engine import Finished, Speak
from speech_engine.testing import job
from tests.proxy.voices.clone_rig import ADD, CloneRig, clone_rig, owned_voice
from tests.speech_engine.host.fakes import read

SPEAKERS = {"minimax": ("speech-2.8-hd", SYSTEM_VOICES[0]), "elevenlabs": ("eleven_v3", "fakeVoice01")}


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[CloneRig]:
    monkeypatch.setattr("proxy.voices.binding_maker._CLOSING_S", 0.1)
    async with open_store("sqlite", tmp_path) as store, clone_rig(store) as opened:
        yield opened


async def speaks(rig: CloneRig, engine: str) -> bool:
    model, voice = SPEAKERS[engine]
    events = await read(rig.engines[engine].open(Speak(job("Hi there.", model=model, voice=voice))))
    return isinstance(events[-1], Finished)


@pytest.mark.parametrize(("code", "count"), [("2038", 1), ("9999", 5), ("1002", 1), ("1008", 1)])
async def test_clones_that_are_refused_or_fail_leave_speech_alone(
    rig: CloneRig, code: str, count: int
) -> None:
    rig.providers["minimax"].fail("error_in_200", path="voice_clone", code=code, count=count)
    for _ in range(count):
        await rig.want(await owned_voice(rig.store))
    await rig.step()
    assert rig.engines["minimax"].state == "ready"
    assert await speaks(rig, "minimax")


async def test_an_account_that_may_not_clone_says_so_at_once(rig: CloneRig) -> None:
    rig.providers["minimax"].fail("error_in_200", path="voice_clone", code="2038")
    id_ = await rig.want(await owned_voice(rig.store))
    await rig.step()
    row = await rig.row(id_)
    assert (row.state, row.error) == (
        "failed",
        "The MiniMax account may not clone voices until it is verified.",
    )


async def test_a_key_that_may_not_list_voices_clones_and_speaks(rig: CloneRig) -> None:
    rig.elevenlabs.permissions.discard("voices_read")
    id_ = await rig.want(await owned_voice(rig.store), "elevenlabs")
    await rig.step()
    assert (await rig.row(id_)).state == "ready"
    assert await speaks(rig, "elevenlabs")


async def test_clones_that_hang_take_no_slot_of_speech(rig: CloneRig) -> None:
    provider = rig.providers["elevenlabs"]
    provider.fail("hang_before", path=ADD["elevenlabs"], count=50)
    slots = rig.engines["elevenlabs"].slots
    for _ in range(slots):
        await rig.want(await owned_voice(rig.store), "elevenlabs")
    await rig.maker.look()
    await provider.until(lambda: sum(ADD["elevenlabs"] in seen.path for seen in provider.seen) == slots)
    assert await speaks(rig, "elevenlabs")
