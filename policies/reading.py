"""A text as it is read: some characters of the text that was sent are left out, such as marks of Markdown.

A reading only removes characters. Charges and limits count the text that was sent.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Literal, NamedTuple

Markdown = Literal["auto", "off", "on"]
"""`on` is only in stored jobs of older versions. It means `auto`."""

Code = Literal["skip", "read"]


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


class TextRule(NamedTuple):
    """A way to mark a text: a quick check, true if a text may have such marks, and the reading without them.

    Most texts need no reading. It takes milliseconds, so it is called in a thread. None means that a text
    stays as it is.
    """

    may_have_marks: Callable[[str], object]
    read: Callable[[str, Code], Reading | None]
