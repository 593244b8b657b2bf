"""What an account has, as the server gets to know it."""

import pytest

from fakes.elevenlabs.account import MODELS
from speech_engine import (
    EngineExhausted,
    EngineFailed,
    EngineStumbled,
    EngineUnauthorized,
    Language,
    VoiceInfo,
)
from speech_engine.testing import collect
from tests.plugins.elevenlabs.rig import VOICE, asked, audio_of, heard, refused, rig


async def test_nothing_is_known_before_somebody_asked_and_nothing_is_needed() -> None:
    async with rig(is_fresh=False) as made:
        assert (made.engine.models(), made.engine.voices()) == ((), ())
        assert made.provider.seen == []
        assert heard(audio_of(await collect(made.engine, asked("Hello.")))) == ("Hello.",)


async def test_models_are_those_that_speak_with_their_own_languages_and_limits() -> None:
    async with rig() as made:
        models = {model.id: model for model in made.engine.models()}
    assert list(models) == [
        "eleven_v3",
        "eleven_multilingual_v2",
        "eleven_flash_v2_5",
        "eleven_flash_v2",
        "eleven_fake_small",
        "eleven_multilingual_sts_v2",
        "scribe_v2",
    ]
    converting = models["eleven_multilingual_sts_v2"]
    assert (converting.speaks, converting.converts) == (False, True)
    assert (models["eleven_v3"].speaks, models["eleven_v3"].converts) == (True, False)
    thai = [id_ for id_, model in models.items() if Language("th") in model.languages]
    assert thai == ["eleven_v3"]
    most = [model.max_characters for model in models.values() if model.speaks]
    assert most == [5_000, 10_000, 40_000, 30_000, 200]
    v3 = models["eleven_v3"]
    assert (v3.sample_rate_hz, v3.formats, v3.speed) == (24_000, ("mp3",), (0.7, 1.2))
    assert v3.joins_segments
    assert v3.billed_on_submit
    assert v3.seeds
    assert not v3.is_local
    assert not v3.times_words


async def test_word_times_are_a_setting() -> None:
    async with rig(word_times=True) as made:
        assert all(model.times_words for model in made.engine.models())
        # Nobody has seen whether the times count tags.
        assert not any(model.phonemes for model in made.engine.models())


async def test_only_a_model_that_reads_tags_is_told_how_words_sound() -> None:
    async with rig() as made:
        assert {model.id: model.phonemes for model in made.engine.models() if model.phonemes} == {
            "eleven_flash_v2": ("ipa",)
        }


async def test_the_operator_chooses_models_and_their_order() -> None:
    async with rig(models=["eleven_flash_v2_5", "eleven_gone", "eleven_v3"]) as made:
        speaking = [model.id for model in made.engine.models() if model.speaks]
        assert speaking == ["eleven_flash_v2_5", "eleven_v3"]


async def test_voices_come_from_all_pages() -> None:
    async with rig() as made:
        made.account.voices |= {f"another{number:03}": f"Another {number}" for number in range(230)}
        await made.engine.refresh()
        pages = [seen.query for seen in made.provider.seen if seen.path == "/v2/voices"]
        ids = [voice.id for voice in made.engine.voices()]
    assert len(pages) == 3
    assert pages[0] == "page_size=100"
    assert all("next_page_token=" in page for page in pages[1:])
    assert sorted(ids) == sorted(made.account.voices)


async def test_a_voice_is_listed_as_clients_can_use_it() -> None:
    async with rig() as made:
        made.account.voices = {VOICE: "Ada \n of  the\thills", "a/b": "No path", "fakeVoice02": ""}
        await made.engine.refresh()
        voices = {voice.id: voice for voice in made.engine.voices()}
    assert voices[VOICE] == VoiceInfo(
        id=VOICE,
        name="Ada of the hills",
        gender=voices[VOICE].gender,
        age="middle aged",
        tags=("american", "narration"),
        description="A calm voice of tones.",
    )
    assert voices["fakeVoice02"].name == "fakeVoice02"
    assert set(voices) == {VOICE, "fakeVoice02"}


async def test_genders_are_words_that_clients_filter_by() -> None:
    async with rig() as made:
        made.account.voices = {f"voice{number}": "" for number in range(9)}
        await made.engine.refresh()
        assert {voice.gender for voice in made.engine.voices()} == {"female", "male", None}


async def test_a_known_list_stays_known_when_asking_fails() -> None:
    async with rig() as made:
        before = (made.engine.models(), made.engine.voices())
        for path in ("/v1/models", "/v2/voices"):
            made.provider.fail("5xx", path=path)
            with pytest.raises(EngineStumbled):
                await made.engine.refresh()
        made.provider.fail("garbage", path="/v1/models")
        with pytest.raises(EngineFailed):
            await made.engine.refresh()
        assert (made.engine.models(), made.engine.voices()) == before
        assert before[0]
        assert before[1]


async def test_a_key_that_may_not_list_voices_can_speak() -> None:
    async with rig(is_fresh=False) as made:
        made.account.permissions = {"models_read"}
        await made.engine.refresh()
        assert made.engine.voices() == ()
        assert len(made.engine.models()) == 7
        assert heard(audio_of(await collect(made.engine, asked("Hello.")))) == ("Hello.",)


async def test_a_key_that_may_not_list_models_is_the_operators_to_mend() -> None:
    async with rig(is_fresh=False) as made:
        made.account.permissions = {"voices_read"}
        with pytest.raises(EngineUnauthorized, match="list of models"):
            await made.engine.refresh()


async def test_a_key_that_may_not_see_its_credit_is_tried_again() -> None:
    async with rig() as made:
        made.account.credits, made.account.permissions = 0, {"models_read", "voices_read"}
        assert isinstance(await refused(made.engine, asked("Hello.")), EngineExhausted)
        await made.engine.refresh()


async def test_a_refusal_in_place_of_a_list_is_no_list() -> None:
    async with rig() as made:
        made.provider.fail("error_in_200", path="/v2/voices")
        with pytest.raises(EngineFailed):
            await made.engine.refresh()


async def test_no_list_goes_on_for_ever() -> None:
    async with rig() as made:
        made.account.voices = {f"voice{number:04}": "" for number in range(2_050)}
        await made.engine.refresh()
        assert len(made.engine.voices()) == 2_000


def test_the_fake_has_what_makes_the_difference() -> None:
    assert any(not model["languages"] for model in MODELS)
    assert any(not model["can_do_text_to_speech"] for model in MODELS)


async def test_a_cloned_voice_is_told_as_a_persons() -> None:
    async with rig() as made:
        made.account.voices = {VOICE: "Ada", "fakeClone01": "Ben"}
        await made.engine.refresh()
        assert {voice.id: voice.is_cloned for voice in made.engine.voices()} == {
            VOICE: False,
            "fakeClone01": True,
        }
