"""Where a segment is cut: it fits with the voice's recording into what the network was trained on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

_ENDS: Final = (
    re.compile(r"(?<=[.!?…])(?=\s)|(?<=[。！？])"),
    re.compile(r"(?<=[,;:—])(?=\s)|(?<=[、，；：])"),
    re.compile(r"(?=\s)"),
    re.compile("(?<=[^\\s\u0e40-\u0e44])(?=[^\\s\u0e30-\u0e3a\u0e45\u0e47-\u0e4e\u0300-\u036f])"),
)
"""After a sentence, a clause, a word; and between two letters, but never before a mark that belongs to the
letter before it, nor between a Thai vowel and the consonant after it."""
_LEAST_PART: Final = 0.3
"""Of the longest piece: a cut at a better place makes no shorter one."""
_LEAST_FIRST_S: Final = 0.8


def pieces(text: str, most_s: float, seconds: Callable[[str], float], first_s: float = 0.0) -> list[str]:
    """Cut a text into pieces of at most `most_s` seconds, as `seconds` tells. Nothing but spaces is lost.

    With `first_s`, the first piece ends with a sentence or a clause of so many seconds, if there is one: a
    listener then hears something soon.
    """
    return [piece for piece in map(str.strip, _cut(text.strip(), most_s, seconds, first_s)) if piece]


def _cut(text: str, most_s: float, seconds: Callable[[str], float], first_s: float) -> Iterator[str]:
    if first_s and seconds(text) > first_s:
        end = _last_end(text, _ENDS[:2], _LEAST_FIRST_S, first_s, seconds)
        yield text[:end]
        text = text[end:].lstrip()
    while text and seconds(text) > most_s:
        end = _last_end(text, _ENDS, most_s * _LEAST_PART, most_s, seconds) or _longest(text, most_s, seconds)
        yield text[:end]
        text = text[end:].lstrip()
    yield text


def _last_end(
    text: str,
    ends: tuple[re.Pattern[str], ...],
    least_s: float,
    most_s: float,
    seconds: Callable[[str], float],
) -> int:
    """Return the last of the best places that leave a piece neither too short nor too long, or 0."""
    fitting = _longest(text, most_s, seconds)
    for kind in ends:
        # One character more, as some places are told by what follows.
        found = [match.start() for match in kind.finditer(text, 1, fitting + 1)]
        best = max((end for end in found if end <= fitting), default=0)
        if best and seconds(text[:best]) >= least_s:
            return best
    return 0


def _longest(text: str, most_s: float, seconds: Callable[[str], float]) -> int:
    """Return how many characters are no longer than this: at least one."""
    least, most = 1, len(text)
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if seconds(text[:middle]) <= most_s else (least, middle - 1)
    return least
