"""What `on` leaves out: all that CommonMark calls a mark."""

from __future__ import annotations

from policies.markdown.reading import read
from proxy.speech.word_times import WordPositions
from speech_engine import Segment
from tests.tables import each_row


@each_row(
    ("text", "read_as"),
    [
        ("*em* **bold** _x_ `c``d` ``a`b``", "em bold x c``d a`b"),
        ("# Title #\n\n> quote\n> more\nlazy", "Title\n\nquote\nmore\nlazy"),
        ("1. one\n2) two", None),
        ("> 1. one\n>    - sub", "1. one\nsub"),
        ("AT&amp;T \\*not\\* &copy; \\x", "AT&T *not* © \\x"),
        ("Setext\n===\n***\nx", "Setext\n\n\nx"),
        ("[a *b*](u 'title') [r] [x][r]\n\n[r]: https://e.org/p", "a b r x\n\n"),
        ("<b>bold</b> <https://a.b/c>", "bold a.b"),
        ("![alt *x*](a.png) and ![](https://h.io/a.png)", "alt x and h.io"),
        ("    code\n    *more*\n\nx", "code\n*more*\n\nx"),
        ("```py\ncode `x`\n  two\n```", "\ncode `x`\n  two\n"),
        ("~~~\nnever ended *x*", "\nnever ended *x*"),
        ("a  \nb\\\nc", "a\nb\nc"),
        ("- a\n\n  b\n- c\n\t- d", "a\n\nb\nc\nd"),
        ("**bold\r\nline** x", "bold\nline x"),
        ("<div>\nhi\n</div>\n\nx", "\n\n\n\nx"),
        ("see https://a.org/b", "see a.org"),
        ("2 * 3, C#, -5, snake_case", None),
        ("***", None),
    ],
)
def test_a_mark_is_left_out(text: str, read_as: str | None) -> None:
    reading = read(text, "on")
    assert (reading and reading.text) == read_as


@each_row(
    ("text", "part", "found"),
    [
        ("*Fish* &amp; caf&eacute;, *one*", "café", "caf&eacute;"),
        ("*Fish* &amp; caf&eacute;, *one*", "&", "&amp;"),
        ("R&#x44; *one*", "RD", "R&#x44;"),
        ("*Q&A; a* `&amp;` b", "Q&A", "Q&A"),
        ("*Q* a `&amp;` b", "&amp", "&amp"),
    ],
)
def test_a_word_with_an_entity_ends_where_that_ends(text: str, part: str, found: str) -> None:
    reading = read(text, "on")
    assert reading is not None
    whole = Segment(reading.text, 0, len(reading.text))
    begin = reading.text.index(part)
    start, end = WordPositions(reading.text, (whole,), 0, reading.places, reading.ends).as_sent(
        begin, begin + len(part)
    )
    assert text[start:end] == found


def test_the_numbers_of_a_list_are_read() -> None:
    reading = read("1. *one*\n2. two", "on")
    assert reading is not None
    assert reading.text == "1. one\n2. two"
