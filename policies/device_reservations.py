"""The bookings of device memory: which process may load its model now, and which one must wait.

Two processes that load at the same time would both see the same free memory, so each books its needs first.
The booking stays while the process lives, since it takes most of the memory only when it speaks. If the
process was measured to use more, that amount is booked.
"""

from __future__ import annotations

from typing import NamedTuple

TRY_AGAIN_S = 15.0
"""The wait before another try while other programs hold the memory: they do not report when they free it."""

Holder = tuple[str, int]
"""A process: its engine, and its number there."""


class DeviceMemory(NamedTuple):
    """A device, and its memory in GB as measured just now."""

    device: str
    free_gb: float
    total_gb: float


class LoadRefusal(NamedTuple):
    """The reason why a process may not load. If it `is_lasting`, the device is too small.

    Otherwise the process tries again when `book_waiting` returns it, or after `again_s`.
    """

    reason: str
    is_lasting: bool = False
    again_s: float | None = None


class _Booking(NamedTuple):
    device: str
    needs_gb: float
    total_gb: float
    peak_gb: float = 0.0

    @property
    def gb(self) -> float:
        return max(self.needs_gb, self.peak_gb)


class DeviceReservations:
    """The bookings of each device, and the processes that wait for it, in the order of arrival."""

    def __init__(self) -> None:
        self._booked: dict[Holder, _Booking] = {}
        self._waiting: dict[Holder, _Booking] = {}

    def book_memory(self, holder: Holder, needs_gb: float, memory: DeviceMemory) -> LoadRefusal | None:
        """Book the needs of a process, and return None if it may load now. Otherwise return the reason."""
        self._booked.pop(holder, None)
        device, free_gb, total_gb = memory
        wanted = _Booking(device, needs_gb, total_gb)
        free_text = f"{free_gb:.1f} of {total_gb:.1f} GB free"
        if needs_gb > total_gb:
            self._waiting.pop(holder, None)
            return LoadRefusal(
                f"memory_gb: the engine needs {needs_gb:g} GB, and {device} has {free_text}", is_lasting=True
            )
        if not self._has_room(wanted):
            self._waiting[holder] = wanted
            return LoadRefusal(f"waits for {needs_gb:.1f} GB of {device}: {self._holders(device)}")
        self._waiting.pop(holder, None)
        # A loading process has not taken its booked memory yet, so that memory still looks free.
        unused_gb = sum(each.gb - each.peak_gb for each in self._booked.values() if each.device == device)
        if needs_gb > free_gb - unused_gb:
            holders = self._holders(device)
            reason = f"waits for {needs_gb:.1f} GB of {device}, which has {free_text}"
            return LoadRefusal(f"{reason}; {holders}" if holders else reason, again_s=TRY_AGAIN_S)
        self._booked[holder] = wanted
        return None

    def note_peak(self, holder: Holder, peak_gb: float) -> None:
        """Note the most memory that a process has used so far."""
        if holder in self._booked:
            self._booked[holder] = self._booked[holder]._replace(peak_gb=peak_gb)

    def release(self, holder: Holder) -> None:
        """Forget a process that has ended."""
        self._booked.pop(holder, None)
        self._waiting.pop(holder, None)

    def book_waiting(self) -> list[Holder]:
        """Book memory for waiting processes that fit now, in order of arrival. Return them, to try again.

        A process that fits does not wait for an earlier one that does not fit.
        """
        found = []
        for holder, wanted in list(self._waiting.items()):
            if self._has_room(wanted):
                self._booked[holder] = self._waiting.pop(holder)
                found.append(holder)
        return found

    def _has_room(self, wanted: _Booking) -> bool:
        booked = sum(each.gb for each in self._booked.values() if each.device == wanted.device)
        return booked + wanted.needs_gb <= wanted.total_gb

    def _holders(self, device: str) -> str:
        """Return the bookings as text, such as "xtts holds 5.1, f5tts 2.0 of 8.0 GB"."""
        held: dict[str, float] = {}
        total_gb = 0.0
        for (engine, _), each in self._booked.items():
            if each.device == device:
                held[engine] = held.get(engine, 0.0) + each.gb
                total_gb = each.total_gb
        if not held:
            return ""
        (first, first_gb), *others = held.items()
        parts = [f"{first} holds {first_gb:.1f}", *(f"{engine} {gb:.1f}" for engine, gb in others)]
        return f"{', '.join(parts)} of {total_gb:.1f} GB"
