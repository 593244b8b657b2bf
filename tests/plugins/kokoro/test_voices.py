"""Which voice of the model is meant."""

import pytest

from plugins.kokoro.model_format import READINGS, StyleVoice
from plugins.kokoro.voices import VoiceList
from policies import namesakes
from proxy.config.config_toml import known_names
from proxy.engines import registry
from proxy.features.models.listing import open_galleries
from speech_engine import EngineVoice, Mix, UnsupportedLanguage, VoiceNotFound
from speech_engine.values import Samples, Voice
from tests.tables import each_row


def voice(name: str) -> StyleVoice:
    return StyleVoice(name, "female" if name[1] == "f" else "male", READINGS[name[0]], 510, 0)


NAMED = ("af_heart", "af_nova", "am_liam", "am_onyx", "bm_daniel", "pf_dora", "zf_xiaobei")
VOICES = VoiceList([voice(name) for name in NAMED], "digest")


def found(id_: str, language: str = "en-US") -> str:
    ((voice, _),) = VOICES.find(EngineVoice(id_), language).parts
    return voice.name


def mix(weight: float = 1.0, **weights: float) -> Mix:
    return Mix(tuple((EngineVoice(name), weight * share) for name, share in weights.items()))


def test_voices_are_listed_with_language_and_gender_if_they_can_be_read() -> None:
    assert [(info.id, info.language, info.gender) for info in VOICES.infos()] == [
        ("af_heart", "en-US", "female"),
        ("am_liam", "en-US", "male"),
        ("af_nova", "en-US", "female"),
        ("am_onyx", "en-US", "male"),
        ("bm_daniel", "en-GB", "male"),
        ("pf_dora", "pt-BR", "female"),
    ]
    assert [each.tag for each in VOICES.model().languages] == ["en-US", "en-GB", "pt-BR", "en", "pt"]


def test_voices_say_their_accent_and_the_order_of_names_begins_with_an_american_one() -> None:
    listed = VoiceList(
        [voice(name) for name in ("em_santa", "bm_lewis", "af_alloy", "ef_dora", "af_heart")], "digest"
    )
    assert [(info.id, info.tags) for info in listed.infos()] == [
        ("af_heart", ("American",)),
        ("bm_lewis", ("British",)),
        ("af_alloy", ("American",)),
        ("ef_dora", ()),
        ("em_santa", ()),
    ]


def test_only_the_languages_that_the_operator_chose_are_spoken() -> None:
    chosen = VoiceList([voice(name) for name in NAMED], "digest", ("pt-BR",))
    assert [info.id for info in chosen.infos()] == ["pf_dora"]
    assert [each.tag for each in chosen.model().languages] == ["pt-BR", "pt"]
    with pytest.raises(VoiceNotFound):
        chosen.find(EngineVoice("af_heart"), "en-US")


def test_a_voice_speaks_its_own_language_alone() -> None:
    assert found("bm_daniel", "en") == "bm_daniel"
    with pytest.raises(UnsupportedLanguage, match="'pt-BR'"):
        found("af_heart", "pt-BR")
    with pytest.raises(UnsupportedLanguage, match="'ja'"):
        found("bm_daniel", "ja")


def test_a_voice_of_a_language_without_a_reader_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedLanguage, match="zf_xiaobei is a voice for Mandarin"):
        found("zf_xiaobei", "zh")


@each_row("wanted", [EngineVoice("af_nobody"), EngineVoice("nova"), Samples(())])
def test_other_voices_are_not_found(wanted: Voice) -> None:
    with pytest.raises(VoiceNotFound):
        VOICES.find(wanted, "en")


@each_row("weight", [1.0, 100.0])
def test_a_mix_reads_as_its_heaviest_voice(weight: float) -> None:
    wanted = mix(weight, bm_daniel=0.75, af_nova=0.25)
    reading, parts, _ = VOICES.find(wanted, "en")
    assert reading.tag == "en-GB"
    assert [(part.name, share) for part, share in parts] == [("af_nova", 0.25), ("bm_daniel", 0.75)]
    assert VOICES.model().mixes
    with pytest.raises(UnsupportedLanguage, match="'fr'"):
        VOICES.find(wanted, "fr")


@each_row(
    ("wanted", "said"),
    [
        (mix(af_nova=1, pf_dora=3), "one language, and these speak en-US, pt-BR"),
        (mix(af_nova=1, zf_xiaobei=1), "does not know this voice"),
        (mix(af_nova=1, am_liam=0), "weight above 0"),
        (mix(af_nova=1, am_liam=-1), "weight above 0"),
        (Mix(((EngineVoice("af_nova"), 1.0),) * 9), "at most 8 voices"),
    ],
)
def test_a_wrong_mix_is_no_voice(wanted: Mix, said: str) -> None:
    with pytest.raises(VoiceNotFound, match=said):
        VOICES.find(wanted, "en")


def test_in_english_each_of_openais_names_is_another_shipped_voice() -> None:
    shipped = open_galleries(registry.load()).listed_model("kokoro-voices").entry.genders
    shares = namesakes.share_names(
        known_names(), VoiceList([voice(name) for name in shipped], "digest").infos()
    )

    def speakers(tag: str) -> list[str]:
        found = [namesakes.find_share(shares[name], tag) for name in known_names()]
        return [each.voice for each in found if each is not None and each.is_of_gender]

    assert speakers("en") == speakers("en-US")
    assert speakers("en") == [
        *("af_alloy", "am_michael", "bm_lewis", "am_liam", "af_heart", "am_echo", "bm_fable"),
        *("af_river", "af_nova", "am_onyx", "bf_emma", "bf_isabella", "am_adam"),
    ]
    for tag, letter, count in (
        ("en-GB", "b", 8),
        ("es", "e", 2),
        ("hi", "h", 4),
        ("it", "i", 2),
        ("pt", "p", 2),
    ):
        assert {id_[0] for id_ in speakers(tag)} == {letter}
        assert len(set(speakers(tag))) == count
    assert set(speakers("fr")) == {"ff_siwis"}
