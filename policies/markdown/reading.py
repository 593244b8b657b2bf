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

Code = Literal["skip", "read"]

_MAY_HAVE_A_MARK = re.compile(r"[*_`#/\]]|-[ \t]|^[ \t]*>", re.MULTILINE).search
_NEVER = re.compile("(?!)").search
MAY_HAVE_MARKS: Mapping[str, Callable[[str], object]]
MAY_HAVE_MARKS = {"auto": _MAY_HAVE_A_MARK, "off": _NEVER, "on": _MAY_HAVE_A_MARK}
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


def read_markdown(text: str, markdown: Markdown, code: Code = "skip") -> Reading | None:
    """Return the reading of a text, or None if it has no marks, or nothing but marks. It takes milliseconds:
    call it in a thread."""
    if not MAY_HAVE_MARKS[markdown](text):
        return None
    unread = frozenset(marks.unread_link_places(text))
    read = marks.unmarked_places(text, reads_code=code == "read")
    places = tuple([place for place in read if place not in unread])
    read_text = "".join([text[place] for place in places])
    if not is_speech(read_text):
        # A text of code alone is read.
        return read_markdown(text, markdown, "read") if code == "skip" else None
    return Reading(read_text, places) if len(places) < len(text) else None
