"""Messages of a worker and its supervisor about memory on a device, for a process of the worker's own."""

from __future__ import annotations

import msgspec


class BookingQuestion(msgspec.Struct, frozen=True, tag="booking_asked"):
    """A worker's question: is there memory on a device for a process of its own? `holder` is the name of that
    process."""

    question: int
    holder: str
    needs_gb: float
    device: str
    free_gb: float
    total_gb: float


class Booked(msgspec.Struct, frozen=True, tag="booked"):
    """The answer. With a `refusal`, nothing is booked; `lasting`: the device is too small."""

    question: int
    refusal: str = ""
    lasting: bool = False


class BookedPeak(msgspec.Struct, frozen=True, tag="booked_peak"):
    """A worker's report: the most memory that such a process has used so far."""

    holder: str
    gb: float


class BookingOver(msgspec.Struct, frozen=True, tag="booking_over"):
    """A worker's report: such a process has ended, or waits no longer."""

    holder: str


BookingWord = BookingQuestion | BookedPeak | BookingOver
"""What a worker sends."""
