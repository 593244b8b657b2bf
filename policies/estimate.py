"""How long a text will sound, before anyone has spoken it."""

from __future__ import annotations

from policies.language import by_script

_CHARACTERS_A_SECOND = {"th": 11.0, "ja": 6.0, "zh": 4.5, "ko": 6.5}
_ALPHABETIC = 14.0
_MARGIN = 1.2
_SHORTEST_CAP_S = 10.0
_CAP_FACTOR = 4.0


def seconds(text: str, speed: float) -> float:
    """The estimate, on the long side: characters by script, over the speed, with a margin of a fifth."""
    pace = _CHARACTERS_A_SECOND.get(by_script(text) or "", _ALPHABETIC)
    return len(text) / pace / speed * _MARGIN


def cap_seconds(estimated_s: float) -> float:
    """How much audio an engine may produce before it is stopped: runaways cost money, short texts vary."""
    return max(_SHORTEST_CAP_S, _CAP_FACTOR * estimated_s)
