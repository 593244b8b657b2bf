"""When a host counts as frozen."""

from __future__ import annotations


def is_frozen(working: int, last_sign: float, now: float, limit_s: float) -> bool:
    """Whether a host that has work in hand has shown no sign of doing it for longer than the limit.

    Without work, or with all of it waiting for a slow reader, silence is no sign of anything.
    """
    return working > 0 and now - last_sign > limit_s
