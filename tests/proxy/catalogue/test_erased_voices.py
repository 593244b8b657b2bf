"""Which streams speak with a voice, and who waits until none does."""

import asyncio

import pytest

from proxy.catalogue.erased_voices import ErasedVoices
from proxy.errors import VoiceErased

LONG_S = 30.0


async def test_a_voice_is_silent_when_the_last_of_its_streams_has_ended() -> None:
    erased = ErasedVoices()
    assert await erased.wait_until_silent("voice_a", 0.0)
    with erased.speaking(("voice_a", "voice_b")):
        with erased.speaking(("voice_a",)):
            waiting = [asyncio.create_task(erased.wait_until_silent("voice_a", LONG_S)) for _ in range(2)]
            await asyncio.sleep(0)
        assert repr(erased) == "<ErasedVoices 0 erased, 2 heard>"
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        assert not await erased.wait_until_silent("voice_a", 0.001)
    async with asyncio.timeout(5):
        assert await asyncio.gather(*waiting) == [True, True]
    assert repr(erased) == "<ErasedVoices 0 erased, 0 heard>"
    assert await erased.wait_until_silent("voice_a", 0.0)


async def test_a_stream_that_fails_is_silent_too() -> None:
    erased = ErasedVoices()
    with pytest.raises(KeyError), erased.speaking(("voice_a",)):
        raise KeyError
    assert await erased.wait_until_silent("voice_a", 0.0)


def test_a_voice_is_noted_once_and_any_erased_one_ends_a_request() -> None:
    erased = ErasedVoices()
    assert [erased.note_erased("voice_a"), erased.note_erased("voice_a"), erased.note_erased("voice_b")] == [
        True,
        False,
        True,
    ]
    erased.refuse_erased(("voice_c",))
    with pytest.raises(VoiceErased):
        erased.refuse_erased(("voice_c", "voice_b"))


def test_the_oldest_of_very_many_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.catalogue.erased_voices._MOST_KNOWN", 2)
    erased = ErasedVoices()
    for voice in ("voice_a", "voice_b", "voice_a", "voice_c"):
        erased.note_erased(voice)
    assert [erased.is_erased(f"voice_{each}") for each in "abc"] == [False, True, True]
