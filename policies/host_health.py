"""The health of a host: when it counts as frozen, and when it starts again after a crash."""

from __future__ import annotations

CRASHES = 5
WITHIN_S = 60.0
LONGEST_DELAY_S = 5.0


def is_frozen(working: int, last_sign: float, now: float, limit_s: float) -> bool:
    """Tell whether a host that has work in hand has shown no sign of doing it for longer than the limit.

    If it has no work, or all its work waits for slow readers, its silence means nothing.
    """
    return working > 0 and now - last_sign > limit_s


def restart_delay_s(crashes: list[float], now: float) -> float | None:
    """Return how long to wait after a crash at `now`, or None to give up.

    `crashes` are the moments of all crashes so far, with this one. The first restart is at once, so that a
    single crash costs a customer nothing but the one answer. Each further one within the window waits
    longer, and the fifth is the last.
    """
    recent = sum(1 for crash in crashes if now - crash < WITHIN_S)
    if recent >= CRASHES:
        return None
    if recent <= 1:
        return 0.0
    return min(LONGEST_DELAY_S, 0.1 * 4.0 ** (recent - 2))
