"""Word places: exact through composing and collapsing, near where a front-end spelled something out."""

from hypothesis import given
from hypothesis import strategies as st

from plugins.plain.plugin import PlainFrontEnd
from proxy.speech_steps.word_times import WordPositions
from speech_engine import Rewritten, Segment, Word
from tests.tables import each_row


@each_row(
    ("text", "spoken", "word", "found"),
    [
        ("Hello world.  ", "Hello world.", (6, 11), "world"),
        ("one \n\t two", "one two", (4, 7), "two"),
        ("cafe\u0301 noir", "café noir", (0, 4), "cafe\u0301"),
        ("cafe\u0301 noir", "café noir", (5, 9), "noir"),
        ("zero\u200bwidth here", "zerowidth here", (10, 14), "here"),
        ("12 cats", "twelve cats", (0, 6), "12 c"),
    ],
)
def test_a_word_is_found_where_the_user_wrote_it(
    text: str, spoken: str, word: tuple[int, int], found: str
) -> None:
    places = WordPositions(text, (Segment(spoken, 0, len(text)),))
    located = places.locate(0, Word(0, *word), 0.5)
    assert text[located.source_start : located.source_end] == found
    assert located.start_seconds == 0.5


def test_a_word_of_a_later_sentence_counts_from_the_start_of_the_text() -> None:
    places = WordPositions("One. Two.", (Segment("One.", 0, 5), Segment("Two.", 5, 9)))
    located = places.locate(1, Word(0, 0, 3), 1.0)
    assert (located.source_start, located.source_end) == (5, 8)


@given(st.text(max_size=80), st.integers(-1, 100), st.integers(-1, 100))
def test_no_place_lies_outside_its_segment(text: str, start: int, end: int) -> None:
    segments = PlainFrontEnd().prepare(text, "en", {})
    places = WordPositions(text, segments)
    for number, segment in enumerate(segments):
        located = places.locate(number, Word(0, max(0, start), max(0, end)), 0.0)
        assert segment.source_start <= located.source_start < located.source_end <= segment.source_end


@each_row(
    ("word", "found"),
    [("às", "às"), ("quatorze", "14:30"), ("trinta", "14:30"), ("horas", "horas"), ("em", "em")],
)
def test_every_word_of_an_expansion_stands_for_what_was_written(word: str, found: str) -> None:
    text = "às 14:30 horas  em ponto"
    spoken = "às quatorze e trinta horas em ponto"
    begin, end = spoken.index("quatorze"), spoken.index(" horas")
    segment = Segment(spoken, 0, len(text), (Rewritten(begin, end, 3, 8),))
    at = spoken.index(word)
    located = WordPositions(text, (segment,)).locate(0, Word(0, at, at + len(word)), 0.0)
    assert text[located.source_start : located.source_end] == found
