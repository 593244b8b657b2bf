"""A text without its marks, with the place of each character in the text that was sent.

A reading only removes characters. Charges and limits count the text that was sent.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from policies.markdown import marks
from speech_engine.text.cleaning import is_speech

Markdown = Literal["auto", "off", "on"]

_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});", re.IGNORECASE)
_NO_ENDS: Mapping[int, int] = MappingProxyType({})
_PERHAPS = re.compile(r"[*_`#/\]]|-[ \t]").search
_ALWAYS, _NEVER = re.compile("").search, re.compile("(?!)").search
MAY_HAVE_MARKS: Mapping[Markdown, Callable[[str], object]] = {
    "auto": _PERHAPS,
    "off": _NEVER,
    "on": _ALWAYS,
}
"""A quick look at a text: most have no marks, and need no reading."""


class Reading(NamedTuple):
    """The text to read, and the place of each of its characters in the sent text.

    `ends` has the ends of characters that are longer in the sent text, because they are written as entities.
    """

    text: str
    places: tuple[int, ...]
    ends: Mapping[int, int] = _NO_ENDS

    def __repr__(self) -> str:
        return f"<Reading of {len(self.text)} characters>"

    def part(self, start: int, end: int) -> Reading:
        """Return the reading of a part of the sent text."""
        first, last = bisect_left(self.places, start), bisect_left(self.places, end)
        return Reading(self.text[first:last], self.places[first:last], self.ends)


def read(text: str, markdown: Markdown) -> Reading | None:
    """Return the reading of a text, or None without marks. It takes milliseconds: call it in a thread."""
    if not MAY_HAVE_MARKS[markdown](text):
        return None
    if markdown == "on":
        # Imported here: most servers never need it.
        from policies.markdown.commonmark import without_marks

        unmarked = without_marks(text)
    else:
        unmarked = {place: text[place] for place in marks.unmarked(text)}
    for place in marks.unread(text):
        unmarked.pop(place, None)
    if len(unmarked) == len(text) or not is_speech("".join(unmarked.values())):
        return None
    places = sorted(unmarked)
    ends = _NO_ENDS
    if markdown == "on":
        # Only the first place of an entity counts.
        entities = [each.span() for each in _ENTITY.finditer(text)]
        ends = {start: end for start, end in entities if start in unmarked and start + 1 not in unmarked}
    return Reading("".join([unmarked[place] for place in places]), tuple(places), ends)
