"""Voices made of recordings, and taken away again."""

import pytest

from speech_engine import (
    CloneRequest,
    CloneSample,
    EngineCannot,
    EngineClones,
    EngineDeletesVoices,
    EngineError,
    EngineFailed,
    EngineVoice,
    NoCloneRoom,
    UnusableSample,
    VoiceNotFound,
)
from speech_engine.testing import collect
from tests.plugins.elevenlabs.rig import asked, audio_of, heard, rig
from tests.tables import each_row
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


@each_row(
    ("fault", "expected"),
    [
        ({"status": 503}, EngineFailed),
        ({"status": 400, "code": "older:voice_limit_reached"}, NoCloneRoom),
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


async def test_an_account_without_a_free_slot_has_no_room() -> None:
    async with rig() as made:
        made.account.voice_slots = len(made.account.voices)
        with pytest.raises(NoCloneRoom):
            await made.engine.clone(REQUEST)


async def test_a_voice_that_must_be_verified_by_hand_is_not_left_behind() -> None:
    async with rig() as made:
        before = set(made.account.voices)
        made.account.wants_verification = True
        with pytest.raises(UnusableSample):
            await made.engine.clone(REQUEST)
        assert set(made.account.voices) == before


@each_row("id_", ["", "../models", "a?b"])
async def test_a_text_that_is_no_id_deletes_nothing(id_: str) -> None:
    async with rig() as made:
        with pytest.raises(VoiceNotFound):
            await made.engine.delete_voice(id_)
        assert made.provider.seen == []


NAME = "voxgate-1a2b-3c4d5e6f"
OURS = CloneRequest(name=NAME, samples=REQUEST.samples)


async def test_after_a_lost_answer_the_clone_is_found_by_its_name() -> None:
    async with rig() as made:
        made.account.voices["fakeClone00"] = f"{NAME}0"
        assert await made.engine.find_clone(NAME) is None
        made.provider.fail("truncated", path="/v1/voices/add")
        with pytest.raises(EngineError):
            await made.engine.clone(OURS)
        voice = await made.engine.find_clone(NAME)
        assert voice is not None
        assert made.account.voices[voice] == NAME


async def test_our_clones_are_listed_with_the_room_that_is_left() -> None:
    async with rig() as made:
        voice = await made.engine.clone(OURS)
        made.account.voices["fakeClone77"] = "voxgate-ffff-1"
        made.account.voice_slots, made.account.most_additions = 7, 3
        listed = await made.engine.list_clones("voxgate-1a2b-")
        assert [(each.id, each.name) for each in listed.clones] == [(voice, NAME)]
        assert (listed.slots_left, listed.additions_left) == (2, 2)
        made.account.permissions.remove("user_read")
        listed = await made.engine.list_clones("voxgate-")
        assert (len(listed.clones), listed.slots_left, listed.additions_left) == (2, None, None)


async def test_a_key_that_may_not_list_voices_cannot_find_a_clone() -> None:
    async with rig() as made:
        made.account.permissions.remove("voices_read")
        with pytest.raises(EngineCannot):
            await made.engine.find_clone(NAME)


async def test_a_found_voice_that_must_be_verified_is_not_left_behind() -> None:
    async with rig() as made:
        made.account.wants_verification = True
        made.provider.fail("truncated", path="/v1/voices/add")
        with pytest.raises(EngineError):
            await made.engine.clone(OURS)
        with pytest.raises(UnusableSample):
            await made.engine.find_clone(NAME)
        assert NAME not in made.account.voices.values()


async def test_what_was_cloned_here_is_listed_for_nobody() -> None:
    async with rig() as made:
        voice = await made.engine.clone(OURS)
        await made.engine.refresh()
        assert voice not in {each.id for each in made.engine.voices()}
        assert len(made.engine.voices()) == len(made.account.voices) - 1
