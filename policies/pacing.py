"""So many requests a minute to a provider: when the next one may go, so that we wait and are not refused."""

from __future__ import annotations

from collections.abc import Sequence

WINDOW_S = 60.0


def wait_s(sent: Sequence[float], most: int, now: float) -> float:
    """`sent` are the moments of the last requests, the oldest first; those before the window do not count."""
    if len(sent) < most:
        return 0.0
    return max(0.0, sent[-most] + WINDOW_S - now)
