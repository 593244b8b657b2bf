"""PCM, 16-bit mono. The pieces of `Audio` are whole samples, 100 ms at most, within the limit of the job."""

from __future__ import annotations

import io
import wave
from array import array
from collections.abc import AsyncIterator, Iterator

from speech_engine.errors import EngineFailed

_SAMPLE_BYTES = 2
_ENCODED_BEGINNINGS = (b"ID3", b"OggS", b"RIFF", b"fLaC")


class RepeatablePcm:
    """A recording that can be read again from its beginning. `failure` is why it could not be read."""

    failure: Exception | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise NotImplementedError


class PcmInMemory(RepeatablePcm):
    """A whole recording in memory."""

    def __init__(self, pcm: bytes, sample_rate_hz: int) -> None:
        self.whole = pcm
        self._second_bytes = _SAMPLE_BYTES * sample_rate_hz

    def __aiter__(self) -> AsyncIterator[bytes]:
        return PcmReader(self.whole, self._second_bytes)


class PcmReader:
    """One reading of a recording, in pieces. The caller would have to close a generator."""

    def __init__(self, pcm: bytes, piece_bytes: int) -> None:
        self._pcm = pcm
        self._piece_bytes = piece_bytes
        self._offset = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = self._pcm[self._offset : self._offset + self._piece_bytes]
        if not piece:
            raise StopAsyncIteration
        self._offset += len(piece)
        return piece


class PcmPieces:
    """The pieces of one job. At most half a sample is held back, so that no audio waits.

    With a `fault`, a stream that begins like an encoded file is refused: an EngineFailed with that message.
    """

    def __init__(self, sample_rate_hz: int, most_samples: int | None = None, fault: str = "") -> None:
        self._piece_bytes = _SAMPLE_BYTES * (sample_rate_hz // 10)
        self._bytes_left = None if most_samples is None else _SAMPLE_BYTES * most_samples
        self._half = b""
        self._fault = fault
        self._checks_beginning = bool(fault)

    @property
    def is_full(self) -> bool:
        """Whether the job's limit of samples is reached: the rest need not be read."""
        return self._bytes_left == 0

    def begin(self) -> None:
        """Starts another stream: half a sample at the end of the last one is dropped."""
        self._half = b""
        self._checks_beginning = bool(self._fault)

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._checks_beginning and data:
            self._checks_beginning = False
            if is_encoded(data):
                raise EngineFailed(self._fault)
        data = self._half + data
        whole = len(data) - len(data) % _SAMPLE_BYTES
        self._half = data[whole:]
        end = whole if self._bytes_left is None else min(whole, self._bytes_left)
        if self._bytes_left is not None:
            self._bytes_left -= end
        for start in range(0, end, self._piece_bytes):
            yield data[start : min(start + self._piece_bytes, end)]


def is_encoded(head: bytes) -> bool:
    """Tell whether an encoded file begins like this. Played as samples, it would be noise at full volume.

    There is no test for a bare MPEG frame, because its first two bytes can also be a sample.
    """
    return head.startswith(_ENCODED_BEGINNINGS)


def wav_file(pcm: bytes | bytearray, rate_hz: int) -> bytes:
    """Return a WAV file of 16-bit mono samples."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(_SAMPLE_BYTES)
        writer.setframerate(rate_hz)
        writer.writeframes(pcm)
    return file.getvalue()


def nearest_samples(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """Return the PCM at another rate, made of the samples nearest in time: for tests, not for listeners."""
    if from_hz == to_hz:
        return pcm
    samples = array("h", pcm)
    count = len(samples) * to_hz // from_hz
    return array("h", (samples[number * from_hz // to_hz] for number in range(count))).tobytes()
