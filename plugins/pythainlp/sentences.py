"""Where to breathe: Thai has no mark for the end of a sentence, and blanks only between phrases."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

from plugins.pythainlp.rule import THAI
from speech_engine.text.draft import Draft

_ENOUGH = 60
"""Characters after which the next blank will do."""

_MOST = 120
"""Characters after which the end of any word must do."""

MOST_SPOKEN = 250
"""Characters as they are spoken, which expansion can make many of few: an engine that takes no more would
have them cut without regard to words."""

_TOO_LITTLE = 15
"""Characters that are no piece of their own: they stay where they are if there is room."""

# A point ends a sentence only behind a word; those of abbreviations are masked by now.
_END = re.compile(
    rf"[\r\n\u2028\u2029][\s]*|(?:[?!…？！。]+[\"'”’)\]]*|(?<=[A-Za-z]{{3}}|[ะ-ฺเ-์][ก-ฮ]{{2}}|[ก-ฮ][ะ-ฺเ-์][ก-ฮ]|[{THAI}]{{2}}[ะ-ฺเ-์])\.[\"'”’)\]]*)(?:\s+|\Z|(?=[{THAI}]))"
)
_BLANK = re.compile(r"\s+")


def ends(draft: Draft, words: Sequence[int]) -> list[int]:
    """Where the pieces of a text end that is decided as far as it will be, given where its words do."""
    said, inside = _spoken(draft)
    between = [end for end in words if end not in inside]
    blanks = [match.end() for match in _BLANK.finditer(draft.open)]
    found = (inside.get(end, end) for end in _ends(draft.open, blanks, words))
    return list(_bounded(found, said, blanks, between))


def rested(said: str, words: Sequence[int]) -> str:
    """What stands for one thing, a number of a thousand digits, is one piece: with blanks in it where it may
    be cut."""
    blanks = [match.end() for match in _BLANK.finditer(said)]
    cuts = [0, *_bounded((len(said),), range(len(said) + 1), blanks, words)]
    return " ".join(said[start:end] for start, end in pairwise(cuts))


def _spoken(draft: Draft) -> tuple[list[int], dict[int, int]]:
    """How much is said before each place of the text; and for the places within what was decided, its end."""
    widths, inside = [1] * len(draft.text), dict[int, int]()
    for start, end, spoken in draft.decided:
        widths[start:end] = [0] * (end - start - 1) + [len(spoken)]
        inside |= dict.fromkeys(range(start + 1, end), end)
    return list(accumulate(widths, initial=0)), inside


def _bounded(
    ends: Iterable[int], said: Sequence[int], blanks: Sequence[int], words: Sequence[int]
) -> Iterator[int]:
    """With more cuts where too much would be said at once: at a blank behind half of it, or behind a word."""
    start = 0
    for end in ends:
        while said[end] - said[start] > MOST_SPOKEN:
            half = bisect_right(said, said[start] + MOST_SPOKEN // 2) - 1
            most = bisect_right(said, said[start] + MOST_SPOKEN) - 1
            cut = _last(blanks, half, most) or _last(words, start, most) or _first(words, most, end)
            if cut >= end:
                break
            yield cut
            start = cut
        yield end
        start = end


def _ends(text: str, blanks: Sequence[int], words: Sequence[int]) -> list[int]:
    hard = [*(match.end() for match in _END.finditer(text)), len(text)]
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
            most = start + _MOST
            cut = _last(blanks, start, most) or _last(words, start, most) or _first(words, most, end)
        if cut >= end:
            return
        yield cut
        start = cut


def _first(places: Sequence[int], after: int, end: int) -> int:
    found = bisect_right(places, after)
    return places[found] if found < len(places) else end


def _last(places: Sequence[int], start: int, most: int) -> int | None:
    """The last of these places behind `start`, and not behind `most`."""
    found = bisect_right(places, most)
    return places[found - 1] if found and places[found - 1] > start else None
