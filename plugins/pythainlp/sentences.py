"""Find the places to breathe in a text.

Thai has no mark for the end of a sentence, and it writes blanks only between phrases.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

from plugins.pythainlp.rule import THAI
from speech_engine.text.draft import Draft

_ENOUGH = 60
"""Characters after which the next blank is good enough for a cut."""

_MOST = 120
"""The most characters of a piece, if a word ends there."""

MOST_SPOKEN = 250
"""Characters of a piece as it is spoken, because expansion can make many characters of few.

If an engine takes no more than this, it would cut a longer piece without regard to words.
"""

_TOO_LITTLE = 15
"""Characters that are too few for a piece. They stay with the text before them if there is room."""

# A point ends a sentence only behind a word. The points of abbreviations are masked by now. A word ends in
# three Latin letters, or in three Thai characters with a vowel or another sign among them. A run of signs is
# tried once, from its first one, and never in parts: else a long run without an end takes quadratic time.
_CLOSING = r"[\"'”’)\]]*+"
_WORD_BEFORE = rf"(?<=[A-Za-z]{{3}}|[ะ-ฺเ-์][ก-ฮ]{{2}}|[{THAI}][ะ-ฺเ-์][ก-ฮ]|[{THAI}]{{2}}[ะ-ฺเ-์])"
_END = re.compile(
    r"[\r\n\u2028\u2029]\s*"
    rf"|(?:(?<![?!…？！。])[?!…？！。]++{_CLOSING}|{_WORD_BEFORE}\.{_CLOSING})(?:\s+|\Z|(?=[{THAI}]))"
)
_BLANK = re.compile(r"\s+")


def ends(draft: Draft, words: Sequence[int]) -> list[int]:
    """Return the places where the pieces of a text end; `words` are the ends of its words.

    All rules have run before this: no more of the draft will be decided.
    """
    lengths, inside = _spoken(draft)
    between = [end for end in words if end not in inside]
    blanks = [match.end() for match in _BLANK.finditer(draft.open)]
    pieces = (inside.get(end, end) for end in _ends(draft.open, blanks, words))
    return list(_bounded(pieces, lengths, blanks, between))


def rested(reading: str, words: Sequence[int]) -> str:
    """Return a long reading with blanks at the places where it may be cut.

    A reading stands for one thing (a number of a thousand digits, for example): it is one piece.
    """
    blanks = [match.end() for match in _BLANK.finditer(reading)]
    cuts = [0, *_bounded((len(reading),), range(len(reading) + 1), blanks, words)]
    return " ".join(reading[start:end] for start, end in pairwise(cuts))


def _spoken(draft: Draft) -> tuple[list[int], dict[int, int]]:
    """Return how much is said before each place of the text, and the ends of the decided parts.

    The second value gives, for each place inside a decided part, the end of that part.
    """
    widths, inside = [1] * len(draft.text), dict[int, int]()
    for start, end, spoken in draft.decided:
        widths[start:end] = [0] * (end - start - 1) + [len(spoken)]
        inside |= dict.fromkeys(range(start + 1, end), end)
    return list(accumulate(widths, initial=0)), inside


def _bounded(
    ends: Iterable[int], lengths: Sequence[int], blanks: Sequence[int], words: Sequence[int]
) -> Iterator[int]:
    """Yield these ends, and more cuts between them if too much would be said at once.

    An added cut is at a blank in the second half of the fitting text, or else behind a word.
    """
    start = 0
    for end in ends:
        while lengths[end] - lengths[start] > MOST_SPOKEN:
            half = bisect_right(lengths, lengths[start] + MOST_SPOKEN // 2) - 1
            most = bisect_right(lengths, lengths[start] + MOST_SPOKEN) - 1
            cut = _last(blanks, half, most) or _last(words, start, most) or _first(words, most, end)
            if cut >= end:
                break
            yield cut
            start = cut
        yield end
        start = end


def _ends(text: str, blanks: Sequence[int], words: Sequence[int]) -> list[int]:
    hard = [*(match.end() for match in _END.finditer(text)), len(text)]
    pieces, start = [], 0
    for end in hard:
        pieces += [*_breaths(start, end, blanks, words), end]
        start = end
    return pieces


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
    index = bisect_right(places, after)
    return places[index] if index < len(places) else end


def _last(places: Sequence[int], start: int, most: int) -> int | None:
    index = bisect_right(places, most)
    return places[index - 1] if index and places[index - 1] > start else None
