"""A text without its Markdown, with the place of each character in the text that was sent.

A reading only removes characters. Charges and limits count the text that was sent.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from policies.markdown import marks
from speech_engine.text.cleaning import is_speech

Markdown = Literal["auto", "off", "on"]
"""`on` is only in stored jobs of older versions. It means `auto`."""

_MAY_HAVE_A_MARK = re.compile(r"[*_`#/\]]|-[ \t]").search
_NEVER = re.compile("(?!)").search
MAY_HAVE_MARKS: Mapping[Markdown, Callable[[str], object]] = {
    "auto": _MAY_HAVE_A_MARK,
    "off": _NEVER,
    "on": _MAY_HAVE_A_MARK,
}
"""A quick check of a text, true if it may have marks. Most texts have none, and need no reading."""


class Reading(NamedTuple):
    """The text to read, and the place of each of its characters in the sent text."""

    text: str
    places: tuple[int, ...]

    def __repr__(self) -> str:
        return f"<Reading of {len(self.text)} characters>"

    def part(self, start: int, end: int) -> Reading:
        """Return the reading of a part of the sent text."""
        first, last = bisect_left(self.places, start), bisect_left(self.places, end)
        return Reading(self.text[first:last], self.places[first:last])


def read_markdown(text: str, markdown: Markdown) -> Reading | None:
    """Return the reading of a text, or None if it has no marks, or nothing but marks. It takes milliseconds:
    call it in a thread."""
    if not MAY_HAVE_MARKS[markdown](text):
        return None
    unread = frozenset(marks.unread_link_places(text))
    places = tuple([place for place in marks.unmarked_places(text) if place not in unread])
    read_text = "".join([text[place] for place in places])
    if len(places) == len(text) or not is_speech(read_text):
        return None
    return Reading(read_text, places)
