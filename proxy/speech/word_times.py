"""The times of words: where a spoken word is in the user's text, and when it begins."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

import msgspec

from speech_engine import Segment, Word


class SpokenWord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A word of the user's text, by its place there, and the moment in the answer at which it begins.

    One `is_interpolated` if no engine gave its moment: it was computed from those around it.
    """

    start_seconds: float
    source_start: int
    source_end: int
    is_interpolated: bool = False

    @property
    def place(self) -> tuple[int, int]:
        return self.source_start, self.source_end


_Range = tuple[int, int]


class WordPlaces:
    """Maps an engine's places within `spoken` to places in the text that the user sent.

    A rewritten word maps to the whole that it was made of. Other places are exact when characters were only
    composed, removed or collapsed, and proportional when not. `text` begins at `begin` of the user's text; if
    marks were left out of it, `places` are those of its characters there, and `ends` the ends of longer ones.
    """

    def __init__(
        self,
        text: str,
        segments: tuple[Segment, ...],
        begin: int = 0,
        places: Sequence[int] | None = None,
        ends: Mapping[int, int] | None = None,
    ) -> None:
        self.text = text
        self.segments = segments
        self._begin = begin
        self._places = places
        self._ends = ends or {}
        self._known: dict[int, list[_Range]] = {}

    def locate(self, segment: int, word: Word, seconds: float) -> SpokenWord:
        ranges = self._known.get(segment)
        if ranges is None:
            ranges = self._known[segment] = self._ranges(self.segments[segment])
        first = min(word.spoken_start, len(ranges) - 1)
        last = min(max(word.spoken_end - 1, first), len(ranges) - 1)
        return SpokenWord(round(seconds, 3), *self.as_sent(ranges[first][0], ranges[last][1]))

    def as_sent(self, start: int, end: int) -> _Range:
        """Return the place in the user's text of a piece of `text`, which is not empty."""
        if self._places is not None:
            last = len(self._places) - 1
            final = self._places[min(end - 1, last)]
            return self._places[min(start, last)], self._ends.get(final, final + 1)
        return start + self._begin, end + self._begin

    def _ranges(self, segment: Segment) -> list[_Range]:
        """List the range in the text for each character of `spoken`."""
        found: list[_Range] = []
        begin, start = 0, segment.source_start
        for one in segment.rewritten:
            found += self._as_written(segment.spoken[begin : one.spoken_start], start, one.source_start)
            found += [(one.source_start, one.source_end)] * (one.spoken_end - one.spoken_start)
            begin, start = one.spoken_end, one.source_end
        return found + self._as_written(segment.spoken[begin:], start, segment.source_end)

    def _as_written(self, spoken: str, start: int, end: int) -> list[_Range]:
        if not spoken:
            return []
        source = self.text[start:end]
        aligned = _aligned(spoken, source)
        if aligned is None:
            # At least one character wide, when there is one.
            width = max(1, len(source))
            aligned = [min(place * width // len(spoken), width - 1) for place in range(len(spoken))]
        found = []
        for place, following in pairwise([*aligned, len(source)]):
            end = place + 1
            # An accent of its own belongs to its letter.
            while end < following and unicodedata.category(source[end])[0] == "M":
                end += 1
            found.append((start + place, start + end))
        return found


def _aligned(spoken: str, source: str) -> list[int] | None:
    """Find the place in the source of each spoken character. None means that the two differ."""
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
    """Give the letter without its accent: the user may have written `é` as `e` and an accent."""
    return unicodedata.normalize("NFD", character)[0]


def _may_vanish(written: str) -> bool:
    return written.isspace() or unicodedata.category(written)[0] in "CM"
