"""Durable tasks: the columns of their rows, and the wait between tries."""

from __future__ import annotations

import msgspec

SECOND_US = 1_000_000
FIRST_DELAY_S = 5.0
LONGEST_DELAY_S = 3600.0


class QueuedTask(msgspec.Struct, frozen=True, kw_only=True):
    """The columns that all tasks have. Times are microseconds.

    No worker begins it before it is `due`, or while another worker has its `lease`. Each lease raises
    `fence`: a worker with an older fence cannot write. `error` is the reason of a wait or a failure.
    """

    due: int = 0
    lease: int = 0
    fence: int = 0
    tries: int = 0
    error: str = ""


def delay_s(tries: int, retry_after_s: float | None = None) -> float:
    """Return the wait after this many failed tries. It is at least `retry_after_s`, up to an hour."""
    doubled = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(tries - 1, 20))
    return max(doubled, min(retry_after_s or 0.0, LONGEST_DELAY_S))
