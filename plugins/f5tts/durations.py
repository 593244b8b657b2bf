"""How long a text takes, by its characters and their script, at the pace of a recording.

The project's own function counts bytes, of which a Thai letter has three and a Latin one has one: a Thai text
after a Portuguese recording would get three times its time.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

LEAST_S: Final = 0.8
"""The network needs some room even for one word."""
SLOWEST, FASTEST = 2.0, 0.5
"""How far from the usual pace a recording may be. Beyond, its words are not all that is heard in it."""

_ALPHABETIC_S: Final = 1 / 14
_PAUSE_S: Final = 0.25
_PAUSES: Final = frozenset(".!?…。！？;:—，、,；：")
_SCRIPTS: Final = (
    # Of Thai, the letters that stand on the line; the marks above and below them take no time of their own.
    (re.compile("[\u0e00-\u0eff]"), 1 / 8.5),
    (re.compile("[\u0590-\u06ff]"), 1 / 11),
    (re.compile("[\u0900-\u0dff]"), 1 / 9),
    (re.compile("[\u3040-\u30ff]"), 1 / 7),
    (re.compile("[\u3400-\u9fff\uf900-\ufaff]"), 1 / 4.5),
    (re.compile("[\uac00-\ud7af]"), 1 / 6.5),
)
"""Seconds a character, at a usual pace."""
_DIGIT_S: Final = 0.45


def usual_s(text: str) -> float:
    """Return the seconds that a text takes at a usual pace: the sum of its characters."""
    return sum(map(_character_s, text))


def pace_of(recording_s: float, text: str) -> float:
    """Return how much slower than usual a recording of this text is spoken: 1.0 is the usual pace."""
    usual = usual_s(text)
    return min(SLOWEST, max(FASTEST, recording_s / usual)) if usual else 1.0


def spoken_s(text: str, pace: float) -> float:
    """Return the seconds that a text takes at a pace."""
    return max(LEAST_S, usual_s(text) * pace)


def _character_s(character: str) -> float:
    if character.isascii() and character.isalpha():
        return _ALPHABETIC_S
    if character in _PAUSES:
        return _PAUSE_S
    kind = unicodedata.category(character)
    if kind in ("Mn", "Cf", "Cc"):
        return 0.0
    if kind[0] == "N":
        return _DIGIT_S
    for script, seconds in _SCRIPTS:
        if script.match(character):
            return seconds
    return _ALPHABETIC_S
