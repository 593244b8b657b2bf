"""Work that must be done even after a kill: the columns of its rows, and the wait between tries."""

from __future__ import annotations

import msgspec

SECOND = 1_000_000
FIRST_DELAY_S = 5.0
LONGEST_DELAY_S = 3600.0


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """The columns that a wish has beside its own. Times are microseconds.

    No worker takes it up before it is `due`, or while another one has its `lease`. Each lease raises `fence`:
    a worker with an older fence cannot write any more. `error` says why it has to wait, or has failed.
    """

    due: int = 0
    lease: int = 0
    fence: int = 0
    tries: int = 0
    error: str = ""


def delay_s(tries: int, retry_after_s: float | None = None) -> float:
    """Return the wait after this many failed tries. `retry_after_s` may ask for a longer one."""
    doubled = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(tries - 1, 20))
    return max(doubled, min(retry_after_s or 0.0, LONGEST_DELAY_S))
