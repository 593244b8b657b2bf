"""The queue before a recogniser. A part that would be heard too late is refused at once, so others lose no
time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf

_FIRST_RATE = 0.1
"""The time to hear a second of sound, before any was heard."""
_SMOOTHING = 0.7
"""The weight of the former rate in a new one."""
_PROBE_EVERY_S = 10.0
_STALLED_S = 2.0
_STALLED_TIMES = 3.0
"""A recogniser that takes so many times longer than expected, and at least `_STALLED_S`, has stopped."""
_LEAST_S = 1.0
"""Shorter sounds take as long as this."""


class TooLate(Exception):
    """A part would be heard too late."""


class RecogniserSlots:
    """The slots of recognisers, and the seconds of sound of all parts that have or await one."""

    def __init__(self) -> None:
        self.under_way_s = 0.0
        self.turns: dict[tuple[str, int], asyncio.Semaphore] = {}
        """By the recogniser and the number of its slots."""


class HearingQueue:
    """The parts that recognisers are to hear for one worker. Several queues may share slots.

    Once a recogniser has stopped, one part every few seconds is sent, to find out whether it hears again.
    """

    def __init__(self, slots: RecogniserSlots) -> None:
        self._rate = _FIRST_RATE
        self._slots = slots
        self._last_at = -inf
        self._stalled_until: float | None = None

    def __repr__(self) -> str:
        return f"<HearingQueue of {self._slots.under_way_s:.1f} s at {self._rate:.2f}>"

    @asynccontextmanager
    async def turn(self, recogniser: str, slots: int, length_s: float, until: float) -> AsyncIterator[None]:
        """Wait for one of the slots, and hold it. Raises TooLate, at the latest when the time is over."""
        shared, now = self._slots, asyncio.get_running_loop().time
        length_s, began = max(length_s, _LEAST_S), now()
        if began - self._last_at > _PROBE_EVERY_S:
            self._rate = min(self._rate, _FIRST_RATE)  # it may be quicker by now
        expected_s = (shared.under_way_s + length_s) * self._rate
        if began + expected_s > until or not self._may_send(began):
            raise TooLate
        self._last_at = began
        shared.under_way_s += length_s
        queued_s = shared.under_way_s
        try:
            try:
                async with (
                    asyncio.timeout_at(until),
                    shared.turns.setdefault((recogniser, slots), asyncio.Semaphore(slots)),
                ):
                    yield
            except TimeoutError:
                self._note_late(now() - began, expected_s, now())
                raise TooLate from None
            self._stalled_until = None
            self._rate = _SMOOTHING * self._rate + (1 - _SMOOTHING) * (now() - began) / queued_s
        finally:
            shared.under_way_s = max(0.0, shared.under_way_s - length_s)

    def _may_send(self, now: float) -> bool:
        if self._stalled_until is None:
            return True
        if now < self._stalled_until:
            return False
        self._stalled_until = now + _PROBE_EVERY_S
        return True

    def _note_late(self, took_s: float, expected_s: float, now: float) -> None:
        if took_s >= max(_STALLED_S, _STALLED_TIMES * expected_s):
            self._stalled_until = max(self._stalled_until or -inf, now + _PROBE_EVERY_S)
        else:
            self._rate *= 1 + (1 - _SMOOTHING)
