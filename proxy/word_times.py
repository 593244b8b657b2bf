"""Where a spoken word stands in the user's text, and when it is heard in the answer."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import msgspec

from speech_engine import Segment, Word


class SpokenWord(msgspec.Struct, frozen=True):
    """A word of the user's text, by its place there, and the moment in the answer at which it begins."""

    start_seconds: float
    source_start: int
    source_end: int


class WordPlaces:
    """Maps an engine's places within `spoken` to places in the text that the user sent.

    Exact where a front-end only composed, removed or collapsed characters; where it spelled something
    out, a word of the expansion lies proportionally within its sentence. `text` begins at `begin` there.
    """

    def __init__(self, text: str, segments: tuple[Segment, ...], begin: int = 0) -> None:
        self._text = text
        self._segments = segments
        self._begin = begin
        self._known: dict[int, list[int]] = {}

    def __repr__(self) -> str:
        return f"<WordPlaces in {len(self._segments)} segments>"

    def locate(self, segment: int, word: Word, seconds: float) -> SpokenWord:
        places = self._known.get(segment)
        if places is None:
            places = self._known[segment] = self._places(self._segments[segment])
        first = min(word.spoken_start, len(places) - 2)
        last = min(max(word.spoken_end - 1, first), len(places) - 2)
        start, end = places[first] + self._begin, places[last] + 1 + self._begin
        return SpokenWord(round(seconds, 3), start, end)

    def _places(self, segment: Segment) -> list[int]:
        """For each character of `spoken` its place in the text; one more for the end."""
        source = self._text[segment.source_start : segment.source_end]
        found = _aligned(segment.spoken, source)
        if found is None:
            count = max(1, len(segment.spoken))
            found = [place * len(source) // count for place in range(count)]
        return [segment.source_start + place for place in found] + [segment.source_end]


def _aligned(spoken: str, source: str) -> list[int] | None:
    """The source's place of each spoken character, or None where the two do not say the same."""
    places: list[int] = []
    at = 0
    for character in spoken:
        while at < len(source) and not _same(character, source[at]) and _may_vanish(source[at]):
            at += 1
        if at == len(source) or not _same(character, source[at]):
            return None
        places.append(at)
        at += 1
    return places if places and all(map(_may_vanish, source[at:])) else None


def _same(spoken: str, written: str) -> bool:
    return spoken == written or (spoken == " " and written.isspace()) or _first_part(spoken) == written


@lru_cache(maxsize=1024)
def _first_part(character: str) -> str:
    """`é` may have been written as `e` and an accent."""
    return unicodedata.normalize("NFD", character)[0]


def _may_vanish(written: str) -> bool:
    return written.isspace() or unicodedata.category(written)[0] in "CM"
