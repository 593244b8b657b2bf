"""The voice changer: a recording goes in, the same words come out, at whichever path there is."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from fakes.elevenlabs import speaking
from speech_engine import (
    EngineConverts,
    EngineError,
    EngineExhausted,
    EngineFailed,
    EngineStumbled,
    Event,
    Finished,
    ProviderCount,
    Started,
    UnsupportedRequest,
    UnusableSample,
    VoiceNotFound,
)
from speech_engine.values import SpeechJob
from tests.plugins.elevenlabs.rig import Rig, asked, audio_of, heard, rig
from tests.tones import tones

TEXT = "Say this again."


def _job(**more: object) -> SpeechJob:
    return msgspec.structs.replace(asked(), model="eleven_multilingual_sts_v2", **more)


async def _pieces(pcm: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(pcm), 9_600):
        yield pcm[start : start + 9_600]


async def _converted(made: Rig, job: SpeechJob, pcm: bytes = b"") -> list[Event]:
    return [event async for event in made.engine.convert(job, _pieces(pcm or tones(TEXT)))]


async def _refusal(made: Rig, job: SpeechJob) -> EngineError:
    with pytest.raises(EngineError) as caught:
        await _converted(made, job)
    return caught.value


async def test_the_words_stay_and_the_credits_are_told() -> None:
    async with rig() as made:
        assert isinstance(made.engine, EngineConverts)
        events = await _converted(made, _job())
        assert made.account.conversion_paths == {"voice-changer": 1, "speech-to-speech": 0}
    assert heard(audio_of(events)) == (TEXT,)
    assert events[0] == Started(24_000)
    assert isinstance(events[-1], Finished)
    assert events[-1].units


async def test_the_credits_are_told_before_any_sound_as_who_leaves_is_billed_too() -> None:
    async with rig() as made:
        events = await _converted(made, _job())
    assert isinstance(count := events[1], ProviderCount)
    assert isinstance(last := events[-1], Finished)
    assert count.units == last.units


async def test_credits_that_are_not_told_are_a_thousand_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaking, "_headers", lambda _cost: {"request-id": "r"})
    async with rig() as made:
        events = await _converted(made, _job(), (2 * tones(TEXT))[: 2 * 36_000])
    assert events[1] == ProviderCount(25.0)


async def test_a_model_says_what_a_minute_counts_as_who_leaves_before_the_head_is_billed_too() -> None:
    async with rig() as made:
        declared = {each.id: each.units_a_minute for each in made.engine.models() if each.converts}
        spoken = [each.units_a_minute for each in made.engine.models() if each.speaks]
        assert all(each.hears_all_first for each in made.engine.models() if each.converts)
    assert declared
    assert set(declared.values()) == {1000.0}
    assert set(spoken) == {None}


async def test_the_settings_are_sent_beside_the_recording() -> None:
    async with rig(stability=0.5, enable_logging=False) as made:
        await _converted(made, _job(seed=7, formats=("mp3",)))
        (seen,) = made.provider.seen
    assert seen.query == "output_format=mp3_44100_128&enable_logging=false"
    for field, value in [
        ("model_id", "eleven_multilingual_sts_v2"),
        ("voice_settings", '{"stability":0.5}'),
        ("seed", "7"),
    ]:
        assert f'name="{field}"\r\n\r\n{value}\r\n'.encode() in seen.body
    assert b'name="audio"; filename="recording.wav"' in seen.body


@pytest.mark.parametrize("first", ["voice-changer", "speech-to-speech"])
async def test_the_path_that_is_there_is_found_and_remembered(first: str) -> None:
    async with rig(conversion_path=first) as made:
        made.account.missing_paths = {first}
        for _ in range(2):
            assert heard(audio_of(await _converted(made, _job()))) == (TEXT,)
        paths = [seen.path.split("/")[2] for seen in made.provider.seen]
    (other,) = {"voice-changer", "speech-to-speech"} - {first}
    assert paths == [first, other, other]


async def test_without_either_path_it_has_failed() -> None:
    async with rig() as made:
        made.account.missing_paths = {"voice-changer", "speech-to-speech"}
        assert type(await _refusal(made, _job())) is EngineFailed
        assert len(made.provider.seen) == 2


async def test_a_missing_voice_is_no_missing_path() -> None:
    async with rig() as made:
        made.account.voices.clear()
        assert isinstance(await _refusal(made, _job()), VoiceNotFound)
        assert len(made.provider.seen) == 1


async def test_a_model_that_only_speaks_is_refused() -> None:
    async with rig() as made:
        refusal = await _refusal(made, msgspec.structs.replace(_job(), model="eleven_v3"))
    assert type(refusal) is UnsupportedRequest
    assert "text" not in refusal.message


async def test_only_what_it_says_of_the_recording_is_the_recordings_fault() -> None:
    for code, kind in (
        ("audio_too_short", UnusableSample),
        ("invalid_parameters", UnsupportedRequest),
        ("something_new", UnsupportedRequest),
    ):
        async with rig() as made:
            made.provider.fail("5xx", path="/v1/voice-changer", status=400, code=code)
            assert type(await _refusal(made, _job())) is kind, code


async def test_an_account_that_a_conversion_has_used_up_rests_until_it_has_credit() -> None:
    async with rig() as made:
        made.account.credits = 0
        assert isinstance(await _refusal(made, _job()), EngineExhausted)
        with pytest.raises(EngineExhausted):
            await made.engine.refresh()


async def test_a_stumble_is_not_tried_elsewhere() -> None:
    async with rig() as made:
        made.provider.fail("5xx", path="/v1/voice-changer")
        assert isinstance(await _refusal(made, _job()), EngineStumbled)
        assert len(made.provider.seen) == 1


async def test_a_recording_without_an_end_is_not_taken_in() -> None:
    async with rig() as made:
        with pytest.raises(UnusableSample):
            await _converted(made, _job(), bytes(50 * 1024 * 1024 + 2))
        assert made.provider.seen == []
