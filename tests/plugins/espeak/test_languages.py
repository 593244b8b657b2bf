"""Every language that is advertised is spoken, every other is refused by name."""

from pathlib import Path

import pytest

from plugins.espeak.data import build_of
from plugins.espeak.languages import identifier_for, languages
from plugins.espeak.plugin import EspeakSettings
from speech_engine import UnsupportedLanguage
from tests.plugins.espeak.first_take import first_take
from tests.plugins.espeak.heard import espeak, hear, said
from tests.tables import each_row

pytestmark = pytest.mark.slow

GREETINGS = {
    "ru": "Привет",
    "uk": "Привіт",
    "bg": "Здравей",
    "mk": "Здраво",
    "el": "Καλημέρα",
    "hi": "नमस्ते",
} | {
    "bn": "নমস্কার",
    "ta": "வணக்கம்",
    "te": "నమస్కారం",
    "ka": "გამარჯობა",
    "hy": "բարև",
}
SPOKEN = [language.tag for language in languages() if language.quality != "poor"]
POOR = [language.tag for language in languages() if language.quality == "poor"]


def test_espeak_speaks_the_languages_people_come_for() -> None:
    assert {"en", "en-GB", "pt", "pt-BR", "es", "es-419", "fr", "de", "it"} <= set(SPOKEN)


@each_row("tag", SPOKEN)
def test_the_build_has_the_voice_file_of_every_language(tag: str) -> None:
    assert (Path(build_of(EspeakSettings()).data) / "lang" / identifier_for(tag)).is_file()


async def test_every_language_speaks() -> None:
    async with espeak() as engine:
        for tag in SPOKEN:
            text = GREETINGS.get(tag.partition("-")[0], "Banana, melon, tomato.")
            heard = await hear(engine, said(text, language=tag))
            assert heard.loudness > 500, tag
            assert 0.3 < heard.duration_s < 4, tag


@each_row(
    ("text", "one", "other"),
    [
        ("The other half can't dance.", "en-US", "en-GB"),
        ("Verdade, muito boa tarde.", "pt", "pt-BR"),
        ("Gracias, cinco zapatos.", "es", "es-419"),
        ("95", "fr", "fr-CH"),
    ],
)
def test_accents_are_heard(text: str, one: str, other: str) -> None:
    """Each is the first thing said in a new process with one seed, so that only the accent can differ."""
    takes = [first_take("m3", 1, text, accent) for accent in (one, one, other)]
    assert takes[0] == takes[1]
    assert takes[0] != takes[2]


@each_row(
    ("tag", "same"),
    [
        ("en", "en-US"),
        ("en-NG", "en"),
        ("en_us", "en-US"),
        ("EN-gb", "en-GB"),
        ("en-AU", "en-GB"),
        ("pt-PT", "pt"),
        ("pt-br", "pt-BR"),
        ("es-ES", "es"),
        ("es-MX", "es-419"),
        ("de-AT", "de"),
        ("sr-Latn-RS", "sr"),
    ],
)
def test_a_tag_is_matched_whole_then_by_accent_then_by_base(tag: str, same: str) -> None:
    assert identifier_for(tag) == identifier_for(same)


@each_row("tag", [*POOR, "th-TH", "zh-Hant-TW", "ja-JP", "yo", "ha", "", "-", "../../etc", "gmw/en"])
async def test_a_language_that_espeak_cannot_speak_is_refused(tag: str) -> None:
    async with espeak() as engine:
        with pytest.raises(UnsupportedLanguage, match=r"espeak does not speak"):
            await hear(engine, said("text", language=tag))


def test_a_refusal_names_the_language() -> None:
    with pytest.raises(UnsupportedLanguage, match="Thai"):
        identifier_for("th-TH")
    with pytest.raises(UnsupportedLanguage, match="Japanese"):
        identifier_for("ja")
