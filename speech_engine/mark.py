"""The Mark protocol: an inaudible sign in the audio, put in after speed and before encoding."""

from __future__ import annotations

from typing import Protocol


class MarkStream(Protocol):
    """One stream being marked; chunks go in and come out in order, the sum of their lengths equal."""

    def feed(self, pcm: bytes) -> bytes: ...

    def flush(self) -> bytes: ...


class Mark(Protocol):
    def open(self, sample_rate_hz: int) -> MarkStream: ...
