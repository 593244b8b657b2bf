"""The turns of refused jobs until they come back. These are only the rules, without a clock.

A refused job counts ahead of newcomers until it is back, or late. So those that were refused together do not
come back to a line of newcomers. A free slot waits for nobody. Turns are fair between accounts, as the line
is: of those that are reserved for one account, only the ones before its own turn are ahead of a newcomer of
another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from speech_engine.host.fair import Ticket

SHORTEST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0
RESERVE = 0.5
"""The part of its patience with which a job comes back early: the pace may fall meanwhile."""
LATE_S = 5.0
"""A job that is later than this loses its turn."""
_KEEPS = 0.9
MOST = 256
"""The most reserved turns. Other jobs get a time to come back, but no turn."""


class ReservedTurn(NamedTuple):
    tenant: str
    estimated_s: float
    cost: float
    back_at: float


def retry_s(starts_in_s: float, patience_s: float) -> float:
    """Return when a job comes back that would begin in so many seconds, and that waits so long."""
    return min(LONGEST_RETRY_S, max(SHORTEST_RETRY_S, starts_in_s - max(0.0, patience_s) * RESERVE))


def place(turns: Sequence[ReservedTurn], tenant: str, *, was_in_line: bool = False) -> int:
    """Return how many of these turns are ahead of a job that has none.

    They are those of its own account, and those whose account has no more cost before them than its own has.
    A job that `was_in_line` goes before turns that are equal to its own.
    """
    own = sum(each.cost for each in turns if each.tenant == tenant)
    before: dict[str, float] = {}
    ahead = 0
    for number, each in enumerate(turns, 1):
        start = before.get(each.tenant, 0.0)
        if start < own or (start == own and not was_in_line):
            ahead = number
        before[each.tenant] = start + each.cost
    return ahead


class ReservedTurns:
    """The reserved turns of one engine, the first one first."""

    def __init__(self) -> None:
        self.line: Sequence[ReservedTurn] = ()
        # The share of the last turns that were used: most clients may never come back.
        self._used = 1.0

    def __repr__(self) -> str:
        return f"<ReservedTurns {len(self.line)}>"

    def enter(self, tenant: str, now: float) -> int:
        """Return how many turns are ahead of a job that comes. It uses up the turn of its account, if one is
        due."""
        line = [each for each in self.line if now <= each.back_at + LATE_S]
        self._used *= _KEEPS ** (len(self.line) - len(line))
        own = (at for at, each in enumerate(line) if each.tenant == tenant and each.back_at <= now)
        if (at := next(own, None)) is not None:
            del line[at]
            self._used += (1.0 - self._used) * (1.0 - _KEEPS)
        self.line = line
        return place(line, tenant) if at is None else at

    def ahead_in_line(self, tenant: str) -> int:
        """Return how many turns are ahead of a job that has waited in line."""
        return place(self.line, tenant, was_in_line=True)

    def reserve(self, ahead: int, job: Ticket, back_at: float) -> None:
        """Reserve a turn behind the first `ahead` ones. The last one is dropped if there are too many."""
        turn = ReservedTurn(job.tenant, job.estimated_s, job.cost, back_at)
        self.line = [*self.line[:ahead], turn, *self.line[ahead:]][:MOST]

    def seconds(self, ahead: int) -> float:
        """Return the estimated seconds of the first turns that will be used."""
        return self._used * sum(each.estimated_s for each in self.line[:ahead])
