"""Where to breathe: Thai has no mark for the end of a sentence, and blanks only between phrases."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from plugins.pythainlp.rule import THAI

_ENOUGH = 60
"""Characters after which the next blank will do."""

_MOST = 120
"""Characters after which the end of any word must do."""

_TOO_LITTLE = 15
"""Characters that are no piece of their own: they stay where they are if there is room."""

# A point ends a sentence only behind a word; those of abbreviations are masked by now.
_END = re.compile(
    rf"[\r\n\u2028\u2029][\s]*|(?:[?!…？！。]+[\"'”’)\]]*|(?<=[A-Za-z]{{3}}|[ะ-ฺเ-์][ก-ฮ]{{2}}|[ก-ฮ][ะ-ฺเ-์][ก-ฮ]|[{THAI}]{{2}}[ะ-ฺเ-์])\.[\"'”’)\]]*)(?:\s+|\Z|(?=[{THAI}]))"
)
_BLANK = re.compile(r"\s+")


def ends(text: str, words: Sequence[int]) -> list[int]:
    """Where the pieces of a draft's open text end, given where its words do."""
    hard = [*(match.end() for match in _END.finditer(text)), len(text)]
    blanks = [match.end() for match in _BLANK.finditer(text)]
    found, start = [], 0
    for end in hard:
        found += [*_breaths(start, end, blanks, words), end]
        start = end
    return found


def _breaths(start: int, end: int, blanks: Sequence[int], words: Sequence[int]) -> Iterator[int]:
    while end - start > _ENOUGH:
        cut = _first(blanks, start + _ENOUGH, end)
        if cut > min(start + _MOST, end - _TOO_LITTLE):
            if end - start <= _MOST:
                return
            cut = _last(blanks, start) or _last(words, start) or _first(words, start + _MOST, end)
        if cut >= end:
            return
        yield cut
        start = cut


def _first(places: Sequence[int], after: int, end: int) -> int:
    found = bisect_right(places, after)
    return places[found] if found < len(places) else end


def _last(places: Sequence[int], start: int) -> int | None:
    """The last of these places that keeps a piece short enough."""
    found = bisect_right(places, start + _MOST)
    return places[found - 1] if found and places[found - 1] > start else None
