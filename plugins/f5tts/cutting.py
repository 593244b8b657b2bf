"""Cut a segment into pieces, each of which fits into the network together with the voice's recording."""

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
"""The places to cut, best first: after a sentence, a clause, a word, a letter. A letter keeps its marks, and
a Thai vowel keeps the consonant after it."""
_LEAST_PART: Final = 0.3
"""The shortest piece that a cut at a better place may make, as a share of the longest piece."""
_LEAST_FIRST_S: Final = 0.8


def pieces(text: str, most_s: float, seconds: Callable[[str], float], first_s: float = 0.0) -> list[str]:
    """Cut a text into pieces of at most `most_s` by `seconds`. Only spaces are lost.

    With `first_s`, the first piece is a sentence or clause of at most that length, if there is one. So a
    listener hears something soon.
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
    """Return the last of the best places that make a piece of a fitting length, or 0."""
    fitting = _longest(text, most_s, seconds)
    for kind in ends:
        # One character more, because some patterns look at the next character.
        found = [match.start() for match in kind.finditer(text, 1, fitting + 1)]
        best = max((end for end in found if end <= fitting), default=0)
        if best and seconds(text[:best]) >= least_s:
            return best
    return 0


def _longest(text: str, most_s: float, seconds: Callable[[str], float]) -> int:
    least, most = 1, len(text)
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if seconds(text[:middle]) <= most_s else (least, middle - 1)
    return least
