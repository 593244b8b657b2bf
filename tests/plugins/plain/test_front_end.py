"""The front-end `plain`: what it cuts, what it leaves out, and what holds for every text there is."""

import unicodedata
from itertools import pairwise

import pytest
import sentencex
import structlog
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plugins.plain.plugin import PlainFrontEnd, voxgate_register
from speech_engine import Context, Segment
from tests.plugins.front_ends import LEXICONS, assert_sound
from tests.tables import each_row

LANGUAGES = ("en", "en-NG", "pt-BR", "th", "ja", "ar", "de", "yo", "zh_Hant", "*", "", "q1")

# Whatever unicode has, and much more of what sentences are made of than chance would give.
TEXTS = st.lists(
    st.one_of(
        st.sampled_from(
            (". ", "? ", "!", "\n\n", "\r\n", "。", "Dr. ", "A.", "U.S. ", "「", "”", "\u2028", "\u200d")
        ),
        st.text(max_size=6),
        st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF),
    ),
    max_size=30,
).map("".join)


def prepared(text: str, language: str = "en") -> tuple[Segment, ...]:
    return PlainFrontEnd().prepare(text, language, {})


def spoken(text: str, language: str = "en") -> list[str]:
    return [segment.spoken for segment in prepared(text, language)]


@given(text=TEXTS, language=st.sampled_from(LANGUAGES))
@example(text=" " * 10_000, language="en")
@example(text="\r\n\r\n Hi.\r\n\r\n", language="en")
@example(text="\ud800 a. B.", language="en")
def test_the_source_ranges_tile_the_text(text: str, language: str) -> None:
    segments = prepared(text, language)
    if not segments:
        assert not any(unicodedata.category(character)[0] in "LNPSM" for character in text)
        return
    assert segments[0].source_start == 0
    assert segments[-1].source_end == len(text)
    assert all(left.source_end == right.source_start for left, right in pairwise(segments))
    assert all(segment.source_start < segment.source_end for segment in segments)


@given(text=TEXTS, language=st.sampled_from(LANGUAGES))
def test_spoken_text_is_clean_and_never_empty(text: str, language: str) -> None:
    for said in spoken(text, language):
        assert said
        assert said == said.strip()
        assert "  " not in said
        assert unicodedata.is_normalized("NFC", said)
        assert not {"Cc", "Cs"} & {unicodedata.category(character) for character in said}


@given(text=TEXTS)
def test_no_letter_is_lost_between_the_segments(text: str) -> None:
    def letters(of: str) -> list[str]:
        return [character for character in unicodedata.normalize("NFD", of) if character.isalnum()]

    assert letters("".join(spoken(text))) == letters(text)


@each_row(
    ("text", "expected"),
    [
        ("Dr. Smith came. Did he? Yes!", ["Dr. Smith came.", "Did he?", "Yes!"]),
        ("Fine.\n\nNew paragraph.", ["Fine.", "New paragraph."]),
        ("One\r\nline\tafter   another", ["One line after another"]),
        ("a\x00b\x07c\u200bd\u00ade\ufeff", ["abcde"]),
        ("e\u0301 and e\u200b\u0301", ["é and é"]),
        ("👩\u200d👩\u200d👧 می\u200cخواهم", ["👩\u200d👩\u200d👧 می\u200cخواهم"]),
        ("\ud83d alone", ["alone"]),
        ("one\u2028two\u3000three\xa0four", ["one two three four"]),
        ("...", ["..."]),
    ],
)
def test_a_text_is_spoken_as_expected(text: str, expected: list[str]) -> None:
    assert spoken(text) == expected


@each_row("text", ["", " ", " \r\n\t ", "\x00\x01", "\u200b\ufeff", "\ud800", "\u200d", " " * 10_000])
def test_a_text_with_nothing_to_say_gives_nothing(text: str) -> None:
    assert prepared(text) == ()


def test_a_piece_with_nothing_to_say_joins_its_neighbour() -> None:
    segments = prepared("\n\n— Hello.  \n\n… World.\n\n)")
    assert [segment.spoken for segment in segments] == ["— Hello.", "… World. )"]
    assert [(segment.source_start, segment.source_end) for segment in segments] == [(0, 14), (14, 25)]


def test_the_language_decides_where_sentences_end() -> None:
    text = "彼は来た。彼女は帰った。"
    assert spoken(text, "ja-JP") == ["彼は来た。", "彼女は帰った。"]


# sentencex 1.0.32 panics here with its whitespace as it is; a panic is no Exception and would get far.
@each_row("text", ["B\u2003.\x1fSt.(！No.)؟\u2003\ufeff1", "A\u2028. B\u2029. C\xa0. D\u3000. E"])
@each_row("language", ["de", "ar", "ca", "en"])
def test_initials_before_wide_spaces_are_harmless(text: str, language: str) -> None:
    assert "".join(text[s.source_start : s.source_end] for s in prepared(text, language)) == text


def test_a_splitter_that_loses_characters_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    def lossy(language: str, text: str) -> list[str]:
        return text.split()

    monkeypatch.setattr(sentencex, "segment", lossy)
    assert prepared("One. Two.") == (Segment("One. Two.", 0, 9),)


@settings(deadline=None)
@given(text=TEXTS, language=st.sampled_from(LANGUAGES), lexicon=LEXICONS)
def test_any_text_is_sound_with_any_lexicon(text: str, language: str, lexicon: dict[str, str]) -> None:
    assert_sound(text, PlainFrontEnd().prepare(text, language, lexicon))


@each_row(
    ("text", "expected"),
    [
        ("SQL and sql, not MySQL.", "sequel and sequel, not MySQL."),
        ("Ask Bob, or bob.", "Ask Robert, or bob."),
        ("New York is new.", "the Big Apple is new."),
        ("At https://sql.com/sql or sql@sql.com: sql.", "At https://sql.com/sql or sql@sql.com: sequel."),
        ("12 kg of sql", "12 kg of sequel"),
    ],
)
def test_words_of_the_lexicon_are_said_as_it_says(text: str, expected: str) -> None:
    lexicon = {"sql": "sequel", "Bob": "Robert", "New York": "the Big Apple", "New": "old"}
    (segment,) = PlainFrontEnd().prepare(text, "en", lexicon)
    assert segment.spoken == expected


def test_a_word_of_the_lexicon_knows_what_it_stands_for() -> None:
    (segment,) = PlainFrontEnd().prepare("My  SQL\u200b is fine.", "en", {"sql": "sequel"})
    (rewritten,) = segment.rewritten
    assert segment.spoken[rewritten.spoken_start : rewritten.spoken_end] == "sequel"
    assert (rewritten.source_start, rewritten.source_end) == (4, 8)


async def test_the_plugin_registers_as_the_front_end_plain() -> None:
    (plugin,) = voxgate_register()
    assert (plugin.kind, plugin.name) == ("front_end", "plain")
    assert callable(plugin.create)
    async with plugin.create("plain", plugin.settings(), Context(structlog.get_logger())) as front_end:
        (segment,) = front_end.prepare("Olá.", "pt", {"olá": "Oi"})
        assert front_end.languages == ("*",)
    assert segment.spoken == "Oi."
    assert "Oi" not in repr(segment)
    assert type(front_end).__name__ == "PlainFrontEnd"
