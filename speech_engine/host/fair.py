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
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Generic, TypeVar, get_args

from speech_engine.values import Urgency

URGENCIES: tuple[Urgency, ...] = get_args(Urgency)
"""The most urgent first."""
IDLE: frozenset[Urgency] = frozenset({"idle"})
WAITED_FOR = frozenset(URGENCIES) - IDLE

LEAST_S = 0.25
"""The least cost of a turn: passing on a slot is work too, and jobs of unknown length take turns."""


class Ticket:
    """One job: waiting, then running, then ended. Its `cost` is `charged_s` over the tenant's `share`."""

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
Running = tuple[float, float, float]
"""Of a running job: `estimated_s`, then `took_s` and `made_s` of its `LastMinute`."""


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


class _TenantQueue(Generic[T]):
    """The jobs of one tenant. `start` is its virtual time, which is never before `floor`. If two queues have
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
        self.start = max(self.floor, self.start + (ticket.cost - before))


class FairOrder(Generic[T]):
    """Every ticket goes `push` → `pop` → `end`, or `push` → `discard`; a step costs O(tenants).

    Where no ticket waits and a new one need not, `begin` does what `push` and `pop` do.
    """

    def __init__(self) -> None:
        self.waiting = 0
        self.waiting_s = 0.0
        self.running = 0
        self._now = 0.0
        self._queues: dict[str, _TenantQueue[T]] = {}
        self._absent_tenants: set[str] = set()
        self._numbers = itertools.count(1)

    def __repr__(self) -> str:
        return f"<FairOrder of {len(self._queues)} tenants, {self.waiting} waiting>"

    def begin(self, ticket: T) -> None:
        """Begin a job at once. No other waits."""
        self._start(self._enter(ticket), ticket)

    def push(self, ticket: T) -> None:
        queue = self._enter(ticket)
        queue.tickets.add(ticket)
        queue.cost += ticket.cost
        self.waiting += 1
        self.waiting_s += ticket.estimated_s

    def head(
        self, urgencies: Collection[Urgency] = URGENCIES, may_run: Callable[[T], bool] = lambda _ticket: True
    ) -> T | None:
        """Returns the next job to run, out of those with these urgencies that may. One that may not lets
        other tenants pass."""
        firsts = [
            (queue.start, queue.number, first)
            for queue in self._waiting_queues()
            if (first := queue.tickets.first(urgencies)) is not None and may_run(first)
        ]
        return min(firsts, key=lambda each: each[:2])[2] if firsts else None

    def pop(self, head: T | None = None) -> T:
        """Takes out the next waiting job. Its estimate is charged until the real length is known."""
        ticket = head or self.head()
        assert ticket is not None
        queue = self._queues[ticket.tenant]
        self._take_out(queue, ticket)
        self._start(queue, ticket)
        return ticket

    def note_made(self, ticket: T, seconds: float) -> None:
        """Adds audio of a running job. Audio past the estimate is charged at once: a tenant must not take
        the other slots with a low estimate."""
        ticket.made_s += seconds
        if ticket.made_s > ticket.charged_s:
            self._queues[ticket.tenant].charge(ticket, ticket.made_s)

    def end(self, ticket: T, cost_s: float) -> None:
        """Ends a running job, with its real cost in seconds."""
        queue = self._queues[ticket.tenant]
        queue.charge(ticket, cost_s)
        if not self.waiting:
            # No job had to wait for this one, so the others must not fall behind: time passes for all.
            self._now += ticket.cost / self.running
        queue.running -= 1
        self.running -= 1
        self._leave(ticket.tenant, queue)

    def discard(self, ticket: T) -> None:
        """Takes out a waiting job; any other job is left alone."""
        queue = self._queues.get(ticket.tenant)
        if queue is not None and ticket in queue.tickets:
            self._take_out(queue, ticket)
            self._leave(ticket.tenant, queue)

    def order(self) -> Iterator[T]:
        """Yields all waiting jobs in the order of their turns, those with a waiting client first. Take none
        out while iterating."""
        return itertools.chain(self._order_of(WAITED_FOR), self._order_of(IDLE))

    def _order_of(self, urgencies: Collection[Urgency]) -> Iterator[T]:
        heads = [(queue.start, queue.number, queue.tickets.of(urgencies)) for queue in self._waiting_queues()]
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
        """Chooses a job to send away when all queues are full: the last of the longest queue; in a tie, the
        newcomer's.

        A job without a waiting client goes before all others.
        """
        queues, own = self._waiting_queues(), self._queues[newcomer.tenant]
        queues = [queue for queue in queues if queue.tickets.last().urgency in IDLE] or queues
        return max(queues, key=lambda queue: (queue.ahead_of_newest, queue is own)).tickets.last()

    def _waiting_queues(self) -> list[_TenantQueue[T]]:
        return [queue for queue in self._queues.values() if queue.tickets.count]

    def _enter(self, ticket: T) -> _TenantQueue[T]:
        queue = self._queues.get(ticket.tenant)
        if queue is None:
            queue = self._queues[ticket.tenant] = _TenantQueue()
        self._absent_tenants.discard(ticket.tenant)
        if not queue.tickets.count:
            # A tenant that was away begins beside the others: no credit for idling, no forgiven debts.
            queue.floor, queue.start = self._now, max(self._now, queue.start)
            queue.number = next(self._numbers)
        return queue

    def _start(self, queue: _TenantQueue[T], ticket: T) -> None:
        queue.running += 1
        self.running += 1
        self._now = max(self._now, queue.start)
        queue.start += ticket.cost
        queue.number = next(self._numbers)
        if self._absent_tenants:
            self._forget()

    def _take_out(self, queue: _TenantQueue[T], ticket: T) -> None:
        queue.tickets.remove(ticket)
        self.waiting -= 1
        # Rounding errors must not grow over the days.
        queue.cost = queue.cost - ticket.cost if queue.tickets.count else 0.0
        self.waiting_s = self.waiting_s - ticket.estimated_s if self.waiting else 0.0

    def _leave(self, tenant: str, queue: _TenantQueue[T]) -> None:
        if not queue.running and not queue.tickets.count:
            self._absent_tenants.add(tenant)
            self._forget()

    def _forget(self) -> None:
        """Drops tenants that would return with a new tenant's time. Tenants ahead of their share stay."""
        if not self.waiting and not self.running:
            self._queues.clear()
            self._absent_tenants.clear()
            self._now = 0.0
        for tenant in [name for name in self._absent_tenants if self._queues[name].start <= self._now]:
            self._absent_tenants.remove(tenant)
            del self._queues[tenant]


_PAST_WEIGHT = 0.9
"""The weight of the past: a tenth less for each job, so that about twenty jobs hide a cold start."""

LEAST_SPOKEN_S = 5.0
"""Short texts alone are misleading: they take hardly longer to speak than to start, and by their pace a long
text would seem to wait in vain."""

_USUAL_LENGTH_SHARE = 0.8
"""The share of its estimate that a text lasts, before a job has finished."""

_LEAST_SILENT_S = 2.0
"""Texts that are shorter do not tell by their silence how slow an engine is."""


class Pace:
    """The pace. `value` is seconds of a slot per estimated second; None before enough speech."""

    def __init__(self, *, learns_from_silence: bool = True) -> None:
        self._learns_from_silence = learns_from_silence
        self._held_s = self._estimated_s = self._made_s = 0.0
        self._first_s = self._jobs = 0.0
        self._between_s = self._between_made_s = 0.0
        self.ended: tuple[float, float] | None = None

    @property
    def value(self) -> float | None:
        return self._held_s / self._estimated_s if self._estimated_s >= LEAST_SPOKEN_S else None

    def learn(self, held_s: float, estimated_s: float, made_s: float, first_s: float) -> None:
        """Divides a sum by a sum and takes no mean of ratios, so that many short jobs do not outweigh a long
        one."""
        if estimated_s > 0.0:
            self._held_s = self._held_s * _PAST_WEIGHT + held_s
            self._estimated_s = self._estimated_s * _PAST_WEIGHT + estimated_s
            self._made_s = self._made_s * _PAST_WEIGHT + made_s
            self._first_s = self._first_s * _PAST_WEIGHT + first_s
            self._jobs = self._jobs * _PAST_WEIGHT + 1.0

    def learn_silence(self, held_s: float, estimated_s: float) -> None:
        """Learn from a job that was given up without a sound, if it took longer than what is known."""
        if self._learns_from_silence and held_s > estimated_s * (self.value or 1.0):
            self.learn(held_s, estimated_s, estimated_s, held_s)

    def learn_end(self, now: float, made_s: float) -> None:
        """Learn from the time between two ends while jobs waited, and from the sound that all slots made
        until then. `ended` has both of the last end; it is None if no job waited then."""
        if self.ended is not None:
            self._between_s = self._between_s * _PAST_WEIGHT + now - self.ended[0]
            self._between_made_s = self._between_made_s * _PAST_WEIGHT + made_s - self.ended[1]
        self.ended = now, made_s

    def forget_together(self) -> None:
        """Forget what all slots give together, as their number has changed."""
        self._between_s = self._between_made_s = 0.0
        self.ended = None

    def first_s(self, estimated_s: float) -> float:
        """Return the time in a slot until the first sound. It comes by the end of a text at the latest."""
        if self.value is None:
            return 0.0
        return min(self._first_s / self._jobs, estimated_s * self.value)

    def now(self, running: Sequence[Running]) -> float:
        """Return the pace now, or 0 if nothing is known: that of the last minute, if it has enough sound."""
        # Of the jobs that have made sound: the sum of their times, and the sum of their sound.
        held_s, made_s = map(sum, zip((0.0, 0.0), *(each[1:] for each in running if each[2]), strict=True))
        if made_s < LEAST_SPOKEN_S:
            return max(self.value or 0.0, _least_pace(running) if self._learns_from_silence else 0.0)
        return held_s / made_s * self._length_share

    def together(self, running: Sequence[Running], slots: int) -> float:
        """Return the pace of all slots together while jobs wait, or 0 if it is not known."""
        if self._between_made_s < LEAST_SPOKEN_S or not running:
            return 0.0
        together = self._between_s / self._between_made_s * self._length_share
        return max(together, _least_pace(running) / slots)

    @property
    def _length_share(self) -> float:
        return self._made_s / self._estimated_s if self.value else _USUAL_LENGTH_SHARE


def _least_pace(running: Sequence[Running]) -> float:
    """Return the least pace that jobs without any sound tell: a machine may have become slow."""
    total_s = sum(each[0] for each in running)
    if total_s < _LEAST_SILENT_S or any(made_s or not estimated_s for estimated_s, _, made_s in running):
        return 0.0
    return min(held_s / estimated_s for estimated_s, held_s, _ in running)


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
