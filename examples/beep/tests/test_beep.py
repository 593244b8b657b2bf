"""The beep engine keeps the contract, and beeps a letter of any script."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import pytest
from voxgate_beep.plugin import BeepSettings
from voxgate_beep.worker import MODEL, RATE_HZ, create

from speech_engine import Audio, Context, Engine, UnsupportedText
from speech_engine.host.log import HostLogger
from speech_engine.testing import EngineContract, collect, job


def opened() -> AbstractAsyncContextManager[Engine]:
    return create("beep", BeepSettings(letter_ms=50), Context(HostLogger("beep")))


class TestTheContract(EngineContract):
    voice = "high"

    def engine(self) -> AbstractAsyncContextManager[Engine]:
        return opened()


async def test_a_letter_of_another_script_beeps_as_it_is_spelled_in_latin() -> None:
    async with opened() as engine:
        events = await collect(engine, job("щи", model=MODEL, voice="low"))
    beeps = [event.pcm for event in events if isinstance(event, Audio)]
    assert len(beeps) == len("shchi")
    assert beeps[1] == beeps[3]  # the two h
    assert all(len(pcm) == 2 * RATE_HZ * 50 // 1000 for pcm in beeps)


async def test_a_text_without_a_letter_is_refused() -> None:
    async with opened() as engine:
        with pytest.raises(UnsupportedText):
            await collect(engine, job("?!", model=MODEL, voice="low"))
