"""Estimates of how long a text will sound, before an engine has spoken it."""

from __future__ import annotations

from policies.language import by_script

_CHARACTERS_A_SECOND = {"th": 11.0, "ja": 6.0, "zh": 4.5, "ko": 6.5}
_ALPHABETIC = 14.0
_MARGIN = 1.2
_SHORTEST_CAP_S = 10.0
_CAP_FACTOR = 4.0


def seconds(text: str, speed: float) -> float:
    """Return a generous estimate: characters by script, divided by the speed, and a fifth more."""
    pace = _CHARACTERS_A_SECOND.get(by_script(text) or "", _ALPHABETIC)
    return len(text) / pace / speed * _MARGIN


def cap_seconds(estimated_s: float) -> float:
    """Return how much audio an engine may make before we stop it: an engine that never ends costs money."""
    return max(_SHORTEST_CAP_S, _CAP_FACTOR * estimated_s)
