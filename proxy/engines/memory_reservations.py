"""Bookings of device memory for a worker's own processes, such as trainers.

The supervisor knows the memory of all devices: that of its hosts, and the bookings of workers.
"""

from __future__ import annotations

from typing import Protocol

from policies.device_reservations import DeviceMemory, LoadRefusal


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
