"""The health of a host: when it counts as frozen or idle, and when it starts again after a crash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

CRASHES = 5
WITHIN_S = 60.0
LONGEST_DELAY_S = 5.0


def is_frozen(working: int, last_sign: float, now: float, limit_s: float) -> bool:
    """Tell whether a host that has work in hand has shown no sign of doing it for longer than the limit.

    If it has no work, or all its work waits for slow readers, its silence means nothing.
    """
    return working > 0 and now - last_sign > limit_s


def is_idle(jobs: int, last_job: float, now: float, limit_s: float) -> bool:
    """Tell whether a host that has no job has had none for the limit; a limit of 0 means never."""
    return limit_s > 0.0 and not jobs and now - last_job >= limit_s


class Crash(NamedTuple):
    """The end of a process at a moment: whether it had work in hand, and whether it was still loading."""

    at: float
    had_work: bool = False
    was_loading: bool = False


def restart_delay_s(crashes: Sequence[Crash], now: float) -> float | None:
    """Return how long to wait after a crash at `now`, or None to give up.

    `crashes` are all crashes so far, with this one. The first restart is at once, so that a single crash
    costs a customer nothing but the one answer. Each further one within the window waits longer. The fifth
    without work is the last. A process that dies of its work is started for ever: otherwise a few requests
    would take the engine from all. One that never gets ready is given up after the fifth death in a
    row, however long each took: a large model may need half an hour to fail five times.
    """
    if len(crashes) >= CRASHES and all(crash.was_loading for crash in crashes[-CRASHES:]):
        return None
    recent = [crash for crash in crashes if now - crash.at < WITHIN_S]
    if not recent[-1].had_work and sum(not crash.had_work for crash in recent) >= CRASHES:
        return None
    if len(recent) <= 1:
        return 0.0
    return min(LONGEST_DELAY_S, 0.1 * 4.0 ** (len(recent) - 2))
