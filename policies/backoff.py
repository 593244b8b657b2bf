"""How long to wait before the same provider is asked once more, and when not to."""

from __future__ import annotations

TRIES = 3
"""Of one request on one engine, the first one included."""

_BASE_S = 0.2
_LONGEST_S = 4.0


def retry_delay_s(tries: int, told_s: float | None, chance: float, left_s: float) -> float | None:
    """After so many tries; None where there is to be no other.

    What the provider told is kept to, and a little more. Else it doubles from try to try, less up to a half
    by `chance` (0 to 1), so that those who failed together do not come back together.
    """
    if tries >= TRIES:
        return None
    if told_s is not None and told_s > 0:
        delay_s = told_s * (1 + 0.1 * chance)
    else:
        delay_s = min(_LONGEST_S, _BASE_S * 2.0 ** (tries - 1)) * (1 - chance / 2)
    return delay_s if delay_s < left_s else None
