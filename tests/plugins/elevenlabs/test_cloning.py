"""Voices made of recordings, and taken away again."""

from __future__ import annotations

import pytest

from speech_engine import (
    CloneRequest,
    CloneSample,
    EngineClones,
    EngineDeletesVoices,
    EngineError,
    EngineExhausted,
    EngineFailed,
    EngineVoice,
    UnusableSample,
    VoiceNotFound,
)
from speech_engine.testing import collect
from tests.plugins.elevenlabs.rig import asked, audio_of, heard, rig
from tests.tones import tones

SAMPLE = CloneSample(tones("This is how I speak."), "audio/wav")
REQUEST = CloneRequest(name="Ada", samples=(SAMPLE, CloneSample(b"x" * 200, "audio/mpeg")))


async def test_a_clone_speaks_until_it_is_deleted() -> None:
    async with rig() as made:
        assert isinstance(made.engine, EngineClones)
        assert isinstance(made.engine, EngineDeletesVoices)
        voice = await made.engine.clone(REQUEST)
        from_clone = asked("Hello.", voice=EngineVoice(voice))
        assert heard(audio_of(await collect(made.engine, from_clone))) == ("Hello.",)
        await made.engine.delete_voice(voice)
        assert voice not in made.account.voices
        with pytest.raises(VoiceNotFound):
            await made.engine.delete_voice(voice)


async def test_the_form_has_all_of_it() -> None:
    async with rig() as made:
        voice = await made.engine.clone(
            CloneRequest(name="Adá", samples=REQUEST.samples, language="pt", denoise=True)
        )
        (seen,) = made.provider.seen
        assert made.account.voices[voice] == "Adá"
    for field, value in [
        ("name", "Adá"),
        ("remove_background_noise", "true"),
        ("labels", '{"language":"pt"}'),
    ]:
        assert f'name="{field}"\r\n\r\n{value}\r\n'.encode() in seen.body
    assert b'name="files"; filename="sample-1.wav"' in seen.body
    assert b'name="files"; filename="sample-2.mp3"' in seen.body


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"status": 503}, EngineFailed),
        ({"status": 400, "code": "older:voice_limit_reached"}, EngineExhausted),
        ({"status": 422, "code": "list:files"}, UnusableSample),
    ],
)
async def test_a_clone_is_asked_for_once(fault: dict[str, object], expected: type[EngineError]) -> None:
    async with rig() as made:
        made.provider.fail("5xx", path="/v1/voices/add", **fault)
        with pytest.raises(expected) as caught:
            await made.engine.clone(REQUEST)
        assert len(made.provider.seen) == 1
    assert not caught.value.may_retry


async def test_a_recording_that_is_none_is_the_users_to_mend() -> None:
    async with rig() as made:
        with pytest.raises(UnusableSample):
            await made.engine.clone(CloneRequest(name="Ada", samples=(CloneSample(b"short"),)))


async def test_no_slot_is_the_operators_to_mend() -> None:
    async with rig() as made:
        made.account.voice_slots = len(made.account.voices)
        with pytest.raises(EngineExhausted):
            await made.engine.clone(REQUEST)


async def test_a_voice_that_must_be_verified_by_hand_is_not_left_behind() -> None:
    async with rig() as made:
        before = set(made.account.voices)
        made.account.wants_verification = True
        with pytest.raises(UnusableSample):
            await made.engine.clone(REQUEST)
        assert set(made.account.voices) == before


@pytest.mark.parametrize("id_", ["", "../models", "a?b"])
async def test_a_text_that_is_no_id_deletes_nothing(id_: str) -> None:
    async with rig() as made:
        with pytest.raises(VoiceNotFound):
            await made.engine.delete_voice(id_)
        assert made.provider.seen == []
