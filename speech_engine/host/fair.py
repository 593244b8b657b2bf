"""Chooses the next job, fair in seconds of audio over each tenant's share, and predicts when jobs begin.
These are only the rules, without a clock.

Start-time fair queueing: each tenant has a virtual time, and the tenant with the earliest time goes next.
Each job moves its tenant's time on by the job's seconds over the tenant's share. Urgency orders only the jobs
of one tenant: it does not put a tenant before others. The pace, which is the time of a slot for a second of
audio, is learnt from finished jobs, and from those that run once they have made some sound.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Generic, TypeVar, get_args

from speech_engine.values import Urgency

URGENCIES: tuple[Urgency, ...] = get_args(Urgency)
"""The most urgent first."""
IDLE: frozenset[Urgency] = frozenset({"idle"})
WAITED_FOR = frozenset(URGENCIES) - IDLE

LEAST_S = 0.25
"""The least cost of a turn: passing on a slot is work too, and jobs of unknown length take turns."""


class Ticket:
    """One job: waiting, then running, then ended."""

    def __init__(
        self, tenant: str, estimated_s: float = 0.0, share: float = 1.0, urgency: Urgency = "live"
    ) -> None:
        self.tenant = tenant
        self.urgency = urgency
        self.estimated_s = estimated_s
        self.share = share
        self.made_s = 0.0
        self.charged_s = max(estimated_s, LEAST_S)
        self.cost = self.charged_s / share


T = TypeVar("T", bound=Ticket)


class _Tickets(Generic[T]):
    """A tenant's waiting jobs: the more urgent ones first, and those of one urgency as they came."""

    def __init__(self) -> None:
        self._by_urgency: dict[Urgency, dict[T, None]] = {urgency: {} for urgency in URGENCIES}
        self.count = 0

    def __contains__(self, ticket: T) -> bool:
        return ticket in self._by_urgency[ticket.urgency]

    def add(self, ticket: T) -> None:
        self._by_urgency[ticket.urgency][ticket] = None
        self.count += 1

    def remove(self, ticket: T) -> None:
        del self._by_urgency[ticket.urgency][ticket]
        self.count -= 1

    def of(self, urgencies: Collection[Urgency]) -> Iterator[T]:
        return itertools.chain.from_iterable(
            jobs for urgency, jobs in self._by_urgency.items() if urgency in urgencies
        )

    def first(self, urgencies: Collection[Urgency]) -> T | None:
        for urgency, jobs in self._by_urgency.items():
            if jobs and urgency in urgencies:
                return next(iter(jobs))
        return None

    def last(self) -> T:
        return next(reversed(next(filter(None, reversed(self._by_urgency.values())))))


class _Line(Generic[T]):
    """The jobs of one tenant. `start` is its virtual time, which is never before `floor`. If two lines have
    the same `start`, the lower `number` goes first. `cost` is the cost of the waiting jobs together."""

    def __init__(self) -> None:
        self.start = 0.0
        self.floor = 0.0
        self.number = 0
        self.running = 0
        self.tickets: _Tickets[T] = _Tickets()
        self.cost = 0.0

    @property
    def ahead_of_newest(self) -> float:
        """Leaves out the last job: one long job is no flood."""
        return self.cost - self.tickets.last().cost

    def charge(self, ticket: T, seconds: float) -> None:
        """Corrects the cost of a running job. Never gives credit for a time without waiting."""
        before = ticket.cost
        ticket.charged_s = max(seconds, LEAST_S)
        ticket.cost = ticket.charged_s / ticket.share
        self.start = max(self.floor, self.start + ticket.cost - before)


class FairOrder(Generic[T]):
    """Every ticket goes `push` → `pop` → `end`, or `push` → `discard`; a step costs O(tenants).

    Where no ticket waits and a new one need not, `begin` does what `push` and `pop` do.
    """

    def __init__(self) -> None:
        self.waiting = 0
        self.waiting_s = 0.0
        self.running = 0
        self._now = 0.0
        self._lines: dict[str, _Line[T]] = {}
        self._away: set[str] = set()
        self._numbers = itertools.count(1)

    def __repr__(self) -> str:
        return f"<FairOrder of {len(self._lines)} tenants, {self.waiting} waiting>"

    def begin(self, ticket: T) -> None:
        """Begin a job at once. No other waits."""
        self._start(self._come(ticket), ticket)

    def push(self, ticket: T) -> None:
        line = self._come(ticket)
        line.tickets.add(ticket)
        line.cost += ticket.cost
        self.waiting += 1
        self.waiting_s += ticket.estimated_s

    def head(
        self, urgencies: Collection[Urgency] = URGENCIES, may_run: Callable[[T], bool] = lambda _ticket: True
    ) -> T | None:
        """Returns the next job to run, out of those with these urgencies that may. One that may not lets
        other tenants pass."""
        firsts = [
            (line.start, line.number, first)
            for line in self._waiting_lines()
            if (first := line.tickets.first(urgencies)) is not None and may_run(first)
        ]
        return min(firsts, key=lambda each: each[:2])[2] if firsts else None

    def pop(self, head: T | None = None) -> T:
        """Takes out the next waiting job. Its estimate is charged until the real length is known."""
        ticket = head or self.head()
        assert ticket is not None
        line = self._lines[ticket.tenant]
        self._take_out(line, ticket)
        self._start(line, ticket)
        return ticket

    def made(self, ticket: T, seconds: float) -> None:
        """Adds audio of a running job. Audio past the estimate is charged at once: a tenant must not take
        the other slots with a low estimate."""
        ticket.made_s += seconds
        if ticket.made_s > ticket.charged_s:
            self._lines[ticket.tenant].charge(ticket, ticket.made_s)

    def end(self, ticket: T, cost_s: float) -> None:
        """Ends a running job, with its real cost in seconds."""
        line = self._lines[ticket.tenant]
        line.charge(ticket, cost_s)
        if not self.waiting:
            # No job had to wait for this one, so the others must not fall behind: time passes for all.
            self._now += ticket.cost / self.running
        line.running -= 1
        self.running -= 1
        self._leave(ticket.tenant, line)

    def discard(self, ticket: T) -> None:
        """Takes out a waiting job; any other job is left alone."""
        line = self._lines.get(ticket.tenant)
        if line is not None and ticket in line.tickets:
            self._take_out(line, ticket)
            self._leave(ticket.tenant, line)

    def order(self) -> Iterator[T]:
        """Yields all waiting jobs in the order of their turns: jobs with a waiting client come first.

        Take none out while iterating.
        """
        return itertools.chain(self._order_of(WAITED_FOR), self._order_of(IDLE))

    def _order_of(self, urgencies: Collection[Urgency]) -> Iterator[T]:
        heads = [(line.start, line.number, line.tickets.of(urgencies)) for line in self._waiting_lines()]
        heapq.heapify(heads)
        while heads:
            start, _, tickets = heads[0]
            ticket = next(tickets, None)
            if ticket is None:
                heapq.heappop(heads)
                continue
            yield ticket
            heapq.heapreplace(heads, (start + ticket.cost, next(self._numbers), tickets))

    def newest_of_longest(self, newcomer: T) -> T:
        """Chooses a job to leave a full queue: the last of the longest line; in a tie, the newcomer's.

        A job without a waiting client goes before all others.
        """
        lines, own = self._waiting_lines(), self._lines[newcomer.tenant]
        lines = [line for line in lines if line.tickets.last().urgency in IDLE] or lines
        return max(lines, key=lambda line: (line.ahead_of_newest, line is own)).tickets.last()

    def _waiting_lines(self) -> list[_Line[T]]:
        return [line for line in self._lines.values() if line.tickets.count]

    def _come(self, ticket: T) -> _Line[T]:
        line = self._lines.get(ticket.tenant)
        if line is None:
            line = self._lines[ticket.tenant] = _Line()
        self._away.discard(ticket.tenant)
        if not line.tickets.count:
            # A tenant that was away begins beside the others: no credit for idling, no forgiven debts.
            line.floor, line.start = self._now, max(self._now, line.start)
            line.number = next(self._numbers)
        return line

    def _start(self, line: _Line[T], ticket: T) -> None:
        line.running += 1
        self.running += 1
        self._now = max(self._now, line.start)
        line.start += ticket.cost
        line.number = next(self._numbers)
        if self._away:
            self._forget()

    def _take_out(self, line: _Line[T], ticket: T) -> None:
        line.tickets.remove(ticket)
        self.waiting -= 1
        # Rounding errors must not grow over the days.
        line.cost = line.cost - ticket.cost if line.tickets.count else 0.0
        self.waiting_s = self.waiting_s - ticket.estimated_s if self.waiting else 0.0

    def _leave(self, tenant: str, line: _Line[T]) -> None:
        if not line.running and not line.tickets.count:
            self._away.add(tenant)
            self._forget()

    def _forget(self) -> None:
        """Drops tenants that would return with a new tenant's time. Tenants ahead of their share stay."""
        if not self.waiting and not self.running:
            self._lines.clear()
            self._away.clear()
            self._now = 0.0
        for tenant in [name for name in self._away if self._lines[name].start <= self._now]:
            self._away.remove(tenant)
            del self._lines[tenant]


_KEEPS = 0.9
"""The weight of the past: a tenth less for each job, so that about twenty jobs hide a cold start."""

LEAST_SPOKEN_S = 5.0
"""Short texts alone are misleading: they take hardly longer to speak than to start, and by their pace a long
text would seem to wait in vain."""

_USUAL_LENGTH = 0.8
"""The share of its estimate that a text lasts, before a job has finished."""


class Pace:
    """The pace. `value` is seconds of a slot per estimated second; None before enough speech."""

    def __init__(self) -> None:
        self._held_s = 0.0
        self._estimated_s = 0.0
        self._made_s = 0.0

    @property
    def value(self) -> float | None:
        return self._held_s / self._estimated_s if self._estimated_s >= LEAST_SPOKEN_S else None

    def learn(self, held_s: float, estimated_s: float, made_s: float) -> None:
        """Divides a sum by a sum and takes no mean of ratios, so that many short jobs do not outweigh a long
        one."""
        if estimated_s > 0.0:
            self._held_s = self._held_s * _KEEPS + held_s
            self._estimated_s = self._estimated_s * _KEEPS + estimated_s
            self._made_s = self._made_s * _KEEPS + made_s

    def beside(self, running: Iterable[tuple[float, float]]) -> float:
        """Return the pace of jobs that run, from the `lately` of each; if they have made little, the value.
        It is 0 if nothing is known."""
        held_s, made_s = map(sum, zip((0.0, 0.0), *(each for each in running if each[1]), strict=True))
        if made_s < LEAST_SPOKEN_S:
            return self.value or 0.0
        return held_s / made_s * (self._made_s / self._estimated_s if self.value else _USUAL_LENGTH)


def forecast(
    order: Iterable[T], free_in_s: Iterable[float], pace: float, waits: Callable[[T], bool]
) -> Iterator[tuple[T, float]]:
    """Yield when each ticket begins, from the times when slots are free; never before the ticket ahead.
    `waits` is called again after a ticket's entry: a ticket that was sent away takes no slot from others."""
    slots = list(free_in_s)
    heapq.heapify(slots)
    for ticket in order:
        if waits(ticket):
            yield ticket, slots[0]
            if waits(ticket):
                heapq.heapreplace(slots, slots[0] + ticket.estimated_s * pace)
