"""Bytes of an answer as events: PCM in pieces of 100 ms, MP3 as it comes; both end at the job's limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from speech_engine.errors import EngineFailed
from speech_engine.events import Audio, Encoded
from speech_engine.pcm import PcmPieces

_SAMPLE_BYTES = 2
_ENCODED = (b"ID3", b"OggS", b"RIFF", b"fLaC")
"""Taken for samples these would be noise at full volume."""


class Sound(Protocol):
    """One for a whole job. `samples` is what has been given so far, at the rate of Started."""

    @property
    def samples(self) -> int: ...

    @property
    def is_full(self) -> bool: ...

    def feed(self, segment: int, data: bytes) -> Iterator[Audio | Encoded]: ...

    def end_of_call(self) -> None:
        """The next bytes begin an answer of their own."""
        ...


class PcmSound:
    def __init__(self, sample_rate_hz: int, most_samples: int | None) -> None:
        self.samples = 0
        self._pieces = PcmPieces(sample_rate_hz, most_samples)
        self._is_new = True

    def __repr__(self) -> str:
        return f"<PcmSound {self.samples} samples>"

    @property
    def is_full(self) -> bool:
        return self._pieces.is_full

    def feed(self, segment: int, data: bytes) -> Iterator[Audio]:
        # No test for a bare MPEG frame: its two bytes may well be a sample.
        if self._is_new and data.startswith(_ENCODED):
            raise EngineFailed("ElevenLabs was asked for PCM and gave something else.")
        self._is_new = self._is_new and not data
        for pcm in self._pieces.feed(data):
            self.samples += len(pcm) // _SAMPLE_BYTES
            yield Audio(segment, pcm)

    def end_of_call(self) -> None:
        self._pieces.begin()
        self._is_new = True


class Mp3Sound:
    """ElevenLabs' MP3 has one bit rate throughout, so that its bytes tell the time. What is cut off in the
    middle of a frame at the limit is dropped by whoever reads frames."""

    def __init__(self, sample_rate_hz: int, most_samples: int | None, bits_per_s: int) -> None:
        self._sample_rate_hz = sample_rate_hz
        self._bits_per_s = bits_per_s
        self._bytes = 0
        self._most_bytes = None if most_samples is None else most_samples * bits_per_s // (8 * sample_rate_hz)

    def __repr__(self) -> str:
        return f"<Mp3Sound {self._bytes} bytes>"

    @property
    def samples(self) -> int:
        return self._bytes * 8 * self._sample_rate_hz // self._bits_per_s

    @property
    def is_full(self) -> bool:
        return self._most_bytes is not None and self._bytes >= self._most_bytes

    def feed(self, _segment: int, data: bytes) -> Iterator[Encoded]:
        kept = data if self._most_bytes is None else data[: self._most_bytes - self._bytes]
        if kept:
            self._bytes += len(kept)
            yield Encoded("mp3", kept)

    def end_of_call(self) -> None:
        """Files behind one another are one stream."""
