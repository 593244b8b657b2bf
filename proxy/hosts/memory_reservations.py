"""Bookings of device memory for a worker's own processes, such as trainers.

The supervisor knows the memory of all devices: that of its hosts, and the bookings of workers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from policies.device_reservations import TRY_AGAIN_S, DeviceMemory, LoadRefusal
from speech_engine.host.booking_messages import Booked, BookedPeak, BookingOver, BookingQuestion
from speech_engine.host.pipe_messages import SupervisorAnswer, WorkerQuestion

_BOOKING_S = 5.0


class MemoryReservations(Protocol):
    """Books device memory at the supervisor. `holder` describes the process to others that wait for
    memory."""

    async def reserve_memory(self, holder: str, needs_gb: float, found: DeviceMemory) -> LoadRefusal | None:
        """Book memory until `release`, and return None; otherwise return why not."""
        ...

    def note_peak(self, holder: str, gb: float) -> None:
        """Note the peak memory of the process so far."""
        ...

    def release(self, holder: str) -> None:
        """Release the memory, or stop waiting for it."""
        ...


class NoReservations:
    """For a worker without a supervisor: its devices have no other user."""

    async def reserve_memory(self, holder: str, needs_gb: float, found: DeviceMemory) -> LoadRefusal | None:
        del holder
        if needs_gb > found.total_gb:
            return LoadRefusal(
                f"{found.device} has {found.total_gb:.1f} GB, not {needs_gb:g}", is_lasting=True
            )
        return None

    def note_peak(self, holder: str, gb: float) -> None:
        """Do nothing: peaks are not read."""

    def release(self, holder: str) -> None:
        """Do nothing: nothing is booked."""


NO_RESERVATIONS = NoReservations()


class SupervisorReservations:
    """Asks the supervisor as a `ServerLink` does."""

    def __init__(
        self,
        ask: Callable[[Callable[[int], WorkerQuestion], float], Awaitable[SupervisorAnswer]],
        send: Callable[[WorkerQuestion], None],
    ) -> None:
        self._ask, self._send = ask, send

    async def reserve_memory(self, holder: str, needs_gb: float, found: DeviceMemory) -> LoadRefusal | None:
        try:
            booked = await self._ask(
                lambda number: BookingQuestion(number, holder, needs_gb, *found), _BOOKING_S
            )
        except TimeoutError:
            return LoadRefusal("the server is busy", again_s=TRY_AGAIN_S)
        assert isinstance(booked, Booked), "the answer to such a question"
        return LoadRefusal(booked.refusal, is_lasting=booked.lasting) if booked.refusal else None

    def note_peak(self, holder: str, gb: float) -> None:
        self._send(BookedPeak(holder, gb))

    def release(self, holder: str) -> None:
        self._send(BookingOver(holder))
