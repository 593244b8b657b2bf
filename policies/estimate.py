"""Estimates of how long a text will sound, before an engine has spoken it."""

from __future__ import annotations

import re

from policies.language import by_script

_CHARACTERS_A_SECOND = {"th": 11.0, "ja": 6.0, "zh": 4.5, "ko": 6.5}
_ALPHABETIC = 14.0
_SHORT = re.compile(r"[\d/\\\u00a2-\u00aa\u00ac-\u00ba\u00bc-\u00be\u00d7\u00f7\u203c-\u2bff]")
"""Digits, and signs that are read by name, such as ©: one character becomes at least one word."""
_CHARACTERS_OF_SHORT = 8
"""The length of such a character in words. In espeak's 54 languages, a digit takes 0.55 seconds on average,
and 1.0 seconds in Lithuanian."""
_MARGIN = 1.2
PARAGRAPH_S = 0.3
"""The share of a pause between two paragraphs that an estimate has: caps are several times as long."""
_SHORTEST_CAP_S = 10.0
CAP_FACTOR = 4.0


def seconds(text: str, speed: float) -> float:
    """Return a generous estimate: characters by script, divided by the speed, and a fifth more."""
    short = len(_SHORT.findall(text))
    script = None if text.isascii() else by_script(text)
    pace = _CHARACTERS_A_SECOND.get(script, _ALPHABETIC) if script else _ALPHABETIC
    # A number takes about the same time in every script.
    plain_s = (len(text) - short) / pace + short * _CHARACTERS_OF_SHORT / _ALPHABETIC
    return plain_s / speed * _MARGIN


def expected_s(estimated_s: float, characters: int, pace: float | None, speed: float) -> float:
    """Return what is likely in place of a generous estimate, which it never passes. `pace` are the characters
    that the voice spoke in a second of plain speed so far, None before it has spoken."""
    if pace is None:
        return estimated_s / _MARGIN
    return min(estimated_s, characters / pace / speed)


def written_length(text: str) -> int:
    """Return the characters of a text once its numbers are written out, by the same estimate."""
    return len(text) + (_CHARACTERS_OF_SHORT - 1) * len(_SHORT.findall(text))


def cap_seconds(estimated_s: float) -> float:
    """Return the most audio of an engine before it is stopped: an engine that never ends costs money."""
    return max(_SHORTEST_CAP_S, CAP_FACTOR * estimated_s)


def repeated_s(sound_s: float) -> tuple[float, float]:
    """Return the least and the most seconds of a repetition of so much sound. Less would lack some speech."""
    return max(0.0, 0.95 * sound_s - 1.0), 1.05 * sound_s + 1.0
