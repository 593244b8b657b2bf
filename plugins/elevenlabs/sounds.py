"""The bytes of an answer as events, up to the job's limit.

PCM goes out in pieces of 100 ms, and MP3 as it comes.
"""

from __future__ import annotations

from collections.abc import Iterator

from speech_engine.events import Audio, Encoded
from speech_engine.pcm import PcmPieces

_SAMPLE_BYTES = 2


class PcmSound:
    """The sound of a job as PCM. `samples` counts the audio so far, at the rate of Started."""

    def __init__(self, sample_rate_hz: int, most_samples: int | None) -> None:
        self.samples = 0
        fault = "ElevenLabs was asked for PCM and gave something else."
        self._pieces = PcmPieces(sample_rate_hz, most_samples, fault)

    @property
    def is_full(self) -> bool:
        return self._pieces.is_full

    def feed(self, segment: int, data: bytes) -> Iterator[Audio]:
        for pcm in self._pieces.feed(data):
            self.samples += len(pcm) // _SAMPLE_BYTES
            yield Audio(segment, pcm)

    def end_of_call(self) -> None:
        self._pieces.begin()


class Mp3Sound:
    """The sound of a job as MP3.

    ElevenLabs' MP3 has a constant bit rate, so its length in bytes gives its length in time. The limit
    may cut a frame in the middle. A reader of frames drops that frame.
    """

    def __init__(self, sample_rate_hz: int, most_samples: int | None, bits_per_s: int) -> None:
        self._sample_rate_hz = sample_rate_hz
        self._bits_per_s = bits_per_s
        self._given_bytes = 0
        self._most_bytes = None if most_samples is None else most_samples * bits_per_s // (8 * sample_rate_hz)

    @property
    def samples(self) -> int:
        return self._given_bytes * 8 * self._sample_rate_hz // self._bits_per_s

    @property
    def is_full(self) -> bool:
        return self._most_bytes is not None and self._given_bytes >= self._most_bytes

    def feed(self, _segment: int, data: bytes) -> Iterator[Encoded]:
        within = data if self._most_bytes is None else data[: self._most_bytes - self._given_bytes]
        if within:
            self._given_bytes += len(within)
            yield Encoded("mp3", within)

    def end_of_call(self) -> None:
        """MP3 files in a row are one stream."""


Sound = PcmSound | Mp3Sound
