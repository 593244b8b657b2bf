"""What is read of any text is a part of it, in its order, each character with its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from policies.markdown import commonmark
from policies.markdown.reading import MAY_HAVE_MARKS, Reading, read
from speech_engine.text.cleaning import is_speech

MARKDOWN: st.SearchStrategy[Literal["auto", "on"]] = st.sampled_from(["auto", "on"])
SIGNS = st.sampled_from(
    [
        *("a", "b ", "*", "**", "__", "`", "``", "[", "]", "(x)", "](u.v)", "![", "\n", "\n\n", "\r\n", "\0"),
        *("> ", "- ", "1. ", "# ", "#", "\\", "&amp;", "&lt", "<b>", "<http://a.b/c>", " ", "  \n", "\t"),
        *("```\n", "===\n", "é", "漢", "ไทย", "'", '"', "    ", "https://a.b/c", "www.a.b", "[r]: u\n", "_"),
    ]
)
TEXTS = st.lists(SIGNS, max_size=30).map("".join) | st.text(max_size=60)


def _shows_what_it_says(sign: str) -> bool:
    """Leave out links, of which the host is read, and the numbers of lists, which are no text of a token."""
    return "/" not in sign and sign not in ("1. ", "](u.v)")


def _shown(tokens: Sequence[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type in ("inline", "image"):
            yield from _shown(token.children or ())
        elif token.type in ("text", "code_inline", "code_block", "fence"):
            yield token.content


@given(TEXTS, MARKDOWN)
def test_nothing_is_put_in_and_each_character_has_its_place(
    text: str, markdown: Literal["auto", "on"]
) -> None:
    reading = read(text, markdown)
    if reading is None:
        return
    assert len(reading.text) == len(reading.places) < len(text)
    assert all(before < after for before, after in pairwise(reading.places))
    assert is_speech(reading.text)
    for character, place in zip(reading.text, reading.places, strict=True):
        # An entity stands at its first sign.
        assert character == text[place] or (text[place] == "&" and markdown == "on")


@given(st.lists(SIGNS.filter(_shows_what_it_says), max_size=30).map("".join))
def test_what_commonmark_shows_is_read_and_nothing_else(text: str) -> None:
    shown = "".join(_shown(MarkdownIt("commonmark").parse(text)))
    unmarked = commonmark.without_marks(text)
    said = "".join(unmarked[place] for place in sorted(unmarked))
    assert list(filter(str.isalnum, said)) == list(filter(str.isalnum, shown))


@given(TEXTS, st.data())
def test_the_parts_of_a_reading_make_the_whole(text: str, data: st.DataObject) -> None:
    reading = read(text, "auto") or Reading(text, tuple(range(len(text))))
    cut = data.draw(st.integers(0, len(text)))
    first, second = reading.part(0, cut), reading.part(cut, len(text))
    assert first.text + second.text == reading.text
    assert (*first.places, *second.places) == reading.places
    assert all(place < cut for place in first.places)
    assert all(place >= cut for place in second.places)


@given(TEXTS)
def test_the_quick_look_misses_no_mark(text: str) -> None:
    if read(text, "auto") is not None:
        assert MAY_HAVE_MARKS["auto"](text)
    assert not MAY_HAVE_MARKS["off"](text)
    assert MAY_HAVE_MARKS["on"](text)
