"""The duration of a text by its characters and their script, at the pace of a recording.

The project's own function counts bytes. A Thai letter has three, so a Thai text would be too slow.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

LEAST_S: Final = 0.8
"""The shortest duration, even for one word."""
SLOWEST, FASTEST = 2.0, 0.5
"""The limits of a recording's pace. Beyond them, its transcript cannot be complete."""

_ALPHABETIC_S: Final = 1 / 14
_PAUSE_S: Final = 0.25
_PAUSES: Final = frozenset(".!?…。！？;:—，、,；：")
_SCRIPTS: Final = (
    # Only the Thai letters on the line count. The marks above and below them take no time.
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
    return sum(map(_character_s, text))


def pace_of(recording_s: float, text: str) -> float:
    """Return a recording's pace: 1.0 is usual, 2.0 is half as fast."""
    usual = usual_s(text)
    return min(SLOWEST, max(FASTEST, recording_s / usual)) if usual else 1.0


def spoken_s(text: str, pace: float) -> float:
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
