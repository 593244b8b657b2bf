"""Which voice is meant: the model's own, and the names that clients know."""

from __future__ import annotations

import pytest

from plugins.kokoro.model_format import READINGS, StyleVoice
from plugins.kokoro.voices import NAMES, VoiceList
from speech_engine import EngineVoice, UnsupportedLanguage, VoiceNotFound
from speech_engine.values import Samples, Voice


def voice(name: str) -> StyleVoice:
    return StyleVoice(name, "female" if name[1] == "f" else "male", READINGS[name[0]], 510, 0)


NAMED = ("af_heart", "af_nova", "am_adam", "am_onyx", "bm_lewis", "pf_dora", "zf_xiaobei")
VOICES = VoiceList([voice(name) for name in NAMED], "digest")


def found(id_: str, language: str = "en-US") -> str:
    return VOICES.find(EngineVoice(id_), language).name


def test_voices_are_listed_with_language_and_gender_if_they_can_be_read() -> None:
    assert [(info.id, info.language, info.gender) for info in VOICES.infos()] == [
        ("af_heart", "en-US", "female"),
        ("af_nova", "en-US", "female"),
        ("am_adam", "en-US", "male"),
        ("am_onyx", "en-US", "male"),
        ("bm_lewis", "en-GB", "male"),
        ("pf_dora", "pt-BR", "female"),
    ]
    assert [each.tag for each in VOICES.model().languages] == ["en-US", "en-GB", "pt-BR", "en", "pt"]


def test_only_the_languages_that_the_operator_chose_are_spoken() -> None:
    chosen = VoiceList([voice(name) for name in NAMED], "digest", ("pt-BR",))
    assert [info.id for info in chosen.infos()] == ["pf_dora"]
    assert [each.tag for each in chosen.model().languages] == ["pt-BR", "pt"]
    with pytest.raises(VoiceNotFound):
        chosen.find(EngineVoice("af_heart"), "en-US")


def test_a_known_name_means_its_namesake_or_one_of_its_gender() -> None:
    assert (found("nova"), found("onyx"), found("alloy")) == ("af_nova", "am_onyx", "af_heart")
    assert {found(name)[1] for name, gender in NAMES.items() if gender == "male"} == {"m"}
    assert {found(name, "pt") for name in NAMES} == {"pf_dora"}
    assert {found(name, "en-GB") for name in NAMES} == {"bm_lewis"}


def test_a_voice_speaks_its_own_language_alone() -> None:
    assert found("bm_lewis", "en") == "bm_lewis"
    with pytest.raises(UnsupportedLanguage, match="'pt-BR'"):
        found("af_heart", "pt-BR")
    with pytest.raises(UnsupportedLanguage, match="'ja'"):
        found("alloy", "ja")


def test_a_voice_of_a_language_without_a_reader_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedLanguage, match="zf_xiaobei is a voice for Mandarin"):
        found("zf_xiaobei", "zh")


@pytest.mark.parametrize("wanted", [EngineVoice("af_nobody"), Samples(())])
def test_other_voices_are_not_found(wanted: Voice) -> None:
    with pytest.raises(VoiceNotFound):
        VOICES.find(wanted, "en")
