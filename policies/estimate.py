"""Estimates of how long a text will sound, before an engine has spoken it."""

from __future__ import annotations

import re

from policies.language import language_of_script

_CHARACTERS_A_SECOND = {"th": 11.0, "ja": 6.0, "zh": 4.5, "ko": 6.5}
_ALPHABETIC_A_SECOND = 14.0
_READ_AS_WORDS = re.compile(r"[\d/\\\u00a2-\u00aa\u00ac-\u00ba\u00bc-\u00be\u00d7\u00f7\u203c-\u2bff]")
"""Digits, and signs such as ©: each character is read as a word or more."""
_CHARACTERS_AS_WORDS = 8
"""The characters of a written-out digit or sign. Over espeak's languages, a digit takes 0.55 s on average."""
_MARGIN = 1.2
PARAGRAPH_PAUSE_S = 0.3
"""The pause between two paragraphs in an estimate. The cap leaves room for longer ones."""
_SHORTEST_CAP_S = 10.0
CAP_FACTOR = 4.0


def speech_seconds(text: str, speed: float) -> float:
    """Return a generous estimate: the characters by script, divided by the speed, and a fifth more."""
    signs = len(_READ_AS_WORDS.findall(text))
    script = None if text.isascii() else language_of_script(text)
    pace = _CHARACTERS_A_SECOND.get(script, _ALPHABETIC_A_SECOND) if script else _ALPHABETIC_A_SECOND
    # A number takes about the same time in every script.
    plain_s = (len(text) - signs) / pace + signs * _CHARACTERS_AS_WORDS / _ALPHABETIC_A_SECOND
    return plain_s / speed * _MARGIN


def expected_s(estimated_s: float, characters: int, pace: float | None, speed: float) -> float:
    """Return the likely seconds. `pace` is the voice's characters a second at speed 1, if it has spoken."""
    if pace is None:
        return estimated_s / _MARGIN
    return min(estimated_s, characters / pace / speed)


def written_length(text: str) -> int:
    """Return how many characters a text has once its digits and signs are written out."""
    return len(text) + (_CHARACTERS_AS_WORDS - 1) * len(_READ_AS_WORDS.findall(text))


def cap_seconds(estimated_s: float) -> float:
    """Return after how many seconds of audio an engine is stopped: one that never ends costs money."""
    return max(_SHORTEST_CAP_S, CAP_FACTOR * estimated_s)


def least_repetition_s(sound_s: float) -> float:
    """Return the least seconds of a conversion of so much sound. A shorter one would lack some speech."""
    return max(0.0, 0.95 * sound_s - 1.0)


def most_repetition_s(sound_s: float) -> float:
    """Return the most seconds that a conversion of so much sound may have."""
    return 1.05 * sound_s + 1.0
