"""What must happen although we are killed: what each such wish knows of itself, and how long it waits."""

from __future__ import annotations

import msgspec

SECOND = 1_000_000
FIRST_DELAY_S = 5.0
LONGEST_DELAY_S = 3600.0


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """The columns that a wish has beside its own. Times are microseconds.

    Nobody takes it up before it is `due`, nor while somebody has its `lease`. With a lease comes the next
    `fence`: who has an older one writes nothing any more. `error` says why it has to wait, or has failed.
    """

    due: int = 0
    lease: int = 0
    fence: int = 0
    tries: int = 0
    error: str = ""


def delay_s(tries: int, retry_after_s: float | None = None) -> float:
    """Return how long to wait after so many tries that failed. Who was asked may want a longer wait."""
    doubled = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(tries - 1, 20))
    return max(doubled, min(retry_after_s or 0.0, LONGEST_DELAY_S))
