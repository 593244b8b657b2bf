"""When a crashed process is started again, and when it is left down."""

from __future__ import annotations

CRASHES = 5
WITHIN_S = 60.0
LONGEST_DELAY_S = 5.0


def restart_delay_s(crashes: list[float], now: float) -> float | None:
    """How long to wait after a crash at `now`, or None to give up.

    `crashes` are the moments of all crashes so far, this one included. The first restart is at once, so
    that a single crash costs a customer nothing but the one answer; each further one within the window
    waits longer, and the fifth is the last.
    """
    recent = sum(1 for crash in crashes if now - crash < WITHIN_S)
    if recent >= CRASHES:
        return None
    if recent <= 1:
        return 0.0
    return min(LONGEST_DELAY_S, 0.1 * 4.0 ** (recent - 2))
