"""Learns from finished jobs how long a slot is held for a second of audio, and predicts who begins when."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator

from speech_engine.host.fair import T

_KEEPS = 0.9
"""The weight of the past: a tenth less for each job, so that about twenty jobs hide a cold start."""

_LEAST_S = 5.0
"""Short texts alone tell nothing: they take hardly longer to speak than to start, and by their pace a long
text would seem to wait in vain."""


class Pace:
    """The pace. `value` is seconds of a slot per estimated second; None before enough was spoken."""

    def __init__(self) -> None:
        self._held_s = 0.0
        self._estimated_s = 0.0

    def __repr__(self) -> str:
        return f"<Pace {self.value}>"

    @property
    def value(self) -> float | None:
        return self._held_s / self._estimated_s if self._estimated_s >= _LEAST_S else None

    def learn(self, held_s: float, estimated_s: float) -> None:
        """A sum over a sum, not a mean of ratios: many short jobs must not outweigh a long one."""
        if estimated_s > 0.0:
            self._held_s = self._held_s * _KEEPS + held_s
            self._estimated_s = self._estimated_s * _KEEPS + estimated_s


def forecast(
    order: Iterable[T], free_in_s: Iterable[float], pace: float, waits: Callable[[T], bool]
) -> Iterator[tuple[T, float]]:
    """Yield when each ticket begins, from the times when slots are free; never before the ticket ahead.
    `waits` is asked again after a ticket's entry: a ticket that was sent away takes no slot from others."""
    slots = list(free_in_s)
    heapq.heapify(slots)
    for ticket in order:
        if waits(ticket):
            yield ticket, slots[0]
            if waits(ticket):
                heapq.heapreplace(slots, slots[0] + ticket.estimated_s * pace)
