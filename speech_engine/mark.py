"""The Mark protocol: adds a sign to the audio that nobody hears, after speed and before encoding."""

from __future__ import annotations

from typing import Protocol


class MarkStream(Protocol):
    """The mark of one stream. Chunks come out in order, and the sum of their lengths stays equal."""

    def feed(self, pcm: bytes) -> bytes: ...

    def flush(self) -> bytes: ...


class Mark(Protocol):
    def open(self, sample_rate_hz: int) -> MarkStream: ...
