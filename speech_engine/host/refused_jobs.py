"""When refused jobs come back. These are only the rules, without a clock.

Those that are refused together would find no room if they came back together, so each one is told a time
behind the others. When it comes, it waits in line as any other.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from speech_engine.host.fair import Ticket

SHORTEST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0
RESERVE = 0.5
"""The part of its patience with which a job comes back early: the pace may fall meanwhile."""
MOST = 256
"""The most refused jobs that are remembered."""


class _Refused(NamedTuple):
    tenant: str
    estimated_s: float
    back_at: float


def bounded_retry_s(seconds: float) -> float:
    return min(LONGEST_RETRY_S, max(SHORTEST_RETRY_S, seconds))


class RefusedJobs:
    """The refused jobs of one engine that have not come back yet. Those that never come count until then."""

    def __init__(self) -> None:
        self._refused: list[_Refused] = []

    def __repr__(self) -> str:
        return f"<RefusedJobs {len(self._refused)}>"

    def seconds_before(self, job: Ticket, now: float) -> float:
        """Return the estimated seconds of the jobs that come back before this one. Those of another tenant
        count at most as much as this one with those of its own tenant: a flood does not put off others."""
        self._refused = [each for each in self._refused if each.back_at > now]
        seconds: defaultdict[str, float] = defaultdict(float)
        for each in self._refused:
            seconds[each.tenant] += each.estimated_s
        own_s = seconds.pop(job.tenant, 0.0)
        return own_s + sum([min(each_s, own_s + job.estimated_s) for each_s in seconds.values()])

    def add(self, job: Ticket, back_at: float) -> None:
        if len(self._refused) < MOST:
            self._refused.append(_Refused(job.tenant, job.estimated_s, back_at))
