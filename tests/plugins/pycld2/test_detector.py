"""The detector `pycld2`: how often it is right, when it says nothing, and that no text breaks it."""

from concurrent.futures import ThreadPoolExecutor

import pycld2
import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from plugins.pycld2.plugin import Cld2Detector, voxgate_register
from speech_engine import Context
from tests.plugins.pycld2.scoring import score, table
from tests.plugins.pycld2.sentences import samples
from tests.tables import each_row

LONG_FLOOR = 0.93
SHORT_FLOOR = 0.85
"""A few points under what was measured once, 95 and 88 %: a worse rule fails here, a new CLD2 need not."""

USUAL = ("en", "pt", "es", "fr", "de", "it", "nl", "pl", "yo", "ha", "ig", "sw", "id")
USUAL_FLOOR = 0.97
OTHERS_FLOOR = 0.80
"""Short texts in a server's default language, and in all others there: 100 and 84 % were measured."""

_MALAY = (
    "Kerajaan Malaysia telah mengumumkan bahawa semua pejabat pos akan ditutup pada hari Selasa kerana cuti "
    "umum, dan pelanggan boleh mendapatkan bantuan daripada kakitangan di kaunter."
)

ANY_TEXT = st.lists(
    st.one_of(
        st.text(max_size=12),
        st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF),
        st.sampled_from(("\0", "\x1b[0m", "\ufffe", "\ufdd0", "\U0010ffff", "\u200d", "<b>", "bom dia ")),
    ),
    max_size=30,
).map("".join)


def detect(text: str) -> str | None:
    return Cld2Detector().detect(text)


def test_the_sentences_are_enough_of_everything() -> None:
    found = samples()
    assert len(found) >= 240
    assert len({sample.language for sample in found}) >= 12
    assert sum(sample.is_short for sample in found) >= len(found) / 3
    assert len({sample.text for sample in found}) == len(found)


def test_the_detector_is_right_as_often_as_it_was() -> None:
    print(table(samples(), Cld2Detector().rank))
    rank = Cld2Detector().rank
    long = score([sample for sample in samples() if not sample.is_short], rank)
    short = score([sample for sample in samples() if sample.is_short], rank)
    assert long.share >= LONG_FLOOR
    assert short.share >= SHORT_FLOOR


def test_a_short_text_is_in_the_default_language_unless_it_clearly_says_another() -> None:
    rank, short = Cld2Detector().rank, [sample for sample in samples() if sample.is_short]
    usual = [score([s for s in short if s.language == tag], rank, tag) for tag in USUAL]
    others = [score([s for s in short if s.language != tag], rank, tag) for tag in USUAL]
    print(f"usual {sum(s.right for s in usual)}/{sum(s.of for s in usual)}, ", end="")
    print(f"others {sum(s.right for s in others)}/{sum(s.of for s in others)}")
    assert sum(s.right for s in usual) >= USUAL_FLOOR * sum(s.of for s in usual)
    assert sum(s.right for s in others) >= OTHERS_FLOOR * sum(s.of for s in others)


@each_row(
    ("text", "usual", "found"),
    [
        ("Oi, gente", "pt", "pt"),
        ("Danke", "de", "de"),
        ("Salut", "fr", "fr"),
        ("Hello, Obinna Eze", "en", "en"),
        ("Muchas gracias", "en", "es"),
        ("Bonjour à tous", "pt", "fr"),
        # Languages that CLD2 does not know, or knows by another code, are no hint.
        ("Muchas gracias", "fil", "es"),
        ("Muchas gracias", "", "es"),
    ],
)
def test_a_short_text_favours_the_usual_language(text: str, usual: str, found: str) -> None:
    assert Cld2Detector().rank(text, usual)[:1] == (found,)


def test_a_text_of_two_languages_has_two_guesses_and_neighbours_come_last() -> None:
    german = [sample.text for sample in samples() if sample.language == "de" and not sample.is_short]
    english = "The shop on the corner opens at nine, and nobody has ever asked why that is so."
    assert Cld2Detector().rank(" ".join([*german, english]))[:2] == ("de", "en")
    assert Cld2Detector().rank(_MALAY) == ("ms", "id")


@each_row("text", ["Wee bit late", "Turn it off", "How are you?", "Mind the gap", "I am late"])
def test_a_short_english_text_is_english_or_unsure(text: str) -> None:
    assert detect(text) in ("en", None)


def test_english_in_another_spelling_is_english() -> None:
    assert detect("Ah dinnae ken whit ye're haverin aboot, ma bonnie wee lassie frae the toun.") == "en"


@each_row(
    ("text", "found"),
    [
        ("Selamat malam", "id"),
        (_MALAY, "ms"),
        ("Mi dispiace", "it"),
        ("שלום לכולם, מה שלומכם היום?", "he"),
    ],
)
def test_neighbours_are_told_apart_only_in_longer_texts(text: str, found: str) -> None:
    assert detect(text) == found


@each_row("text", ["", "   ", "ab", "OK", "12345", "😀😀😀", "\0\0\0", "\ud800", "Ndo", "Vámonos", "bő"])
def test_a_text_that_says_too_little_is_unsure(text: str) -> None:
    assert detect(text) is None


def test_control_characters_and_markup_change_nothing() -> None:
    text = "Amanhã vou ao mercado comprar frutas."
    assert detect(text) == "pt"
    assert detect("\0\ufffe" + text.replace(" ", "\x1b ") + "\ud800") == "pt"
    assert detect(f"<{text}>") == "pt"


def test_two_thousand_characters_are_looked_at() -> None:
    english = "The shop on the corner opens at nine. "
    german = "Der Laden an der Ecke öffnet um neun. "
    assert len(english * 52) < 2000
    assert detect(english * 53 + german * 500) == "en"
    assert detect(german * 53 + english * 500) == "de"


@pytest.mark.parametrize(
    "text", ["𐌰𐌽𐌰 𐌸𐌹𐌿𐌳𐌰 " * 12, "ellohay erethay ymay iendfray isthay isway igpay atinlay " * 2]
)
def test_a_script_or_a_joke_is_no_language(text: str) -> None:
    assert detect(text) is None


def test_an_error_of_the_library_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> None:
        raise pycld2.error("input contains invalid UTF-8")

    monkeypatch.setattr(pycld2, "detect", failing)
    assert detect("Amanhã vou ao mercado comprar frutas.") is None


@given(ANY_TEXT)
@example("\U0010ffff\ufffe bom dia a todos")
def test_no_text_breaks_it(text: str) -> None:
    found = detect(text)
    assert found is None or (found.isascii() and found.islower() and 2 <= len(found) <= 3)


def test_the_detector_may_be_asked_from_any_thread() -> None:
    detector = Cld2Detector()
    texts = [sample.text for sample in samples()] * 3
    alone = [detector.detect(text) for text in texts]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(detector.detect, texts)) == alone


async def test_the_plugin_registers_as_the_detector_pycld2() -> None:
    (plugin,) = voxgate_register()
    assert (plugin.kind, plugin.name) == ("detector", "pycld2")
    assert callable(plugin.create)
    async with plugin.create("pycld2", plugin.settings(), Context(structlog.get_logger())) as detector:
        assert detector.detect("Onde fica a estação de trem?") == "pt"
        assert type(detector).__name__ == "Cld2Detector"
