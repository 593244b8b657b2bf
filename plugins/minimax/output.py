"""Turn MiniMax's audio into events: PCM cut into pieces, or MP3 as it came."""

from __future__ import annotations

from collections.abc import Iterator

from plugins.minimax.models import MP3, PCM, SAMPLE_RATE_HZ
from speech_engine import Audio, Encoded, Event, SpeechJob
from speech_engine.pcm import PcmPieces

_PIECE_BYTES = 16 * 1024


class PcmOutput:
    """The output of one job. If `is_full`, the job has all that it may get; the rest need not be read."""

    format = PCM

    def __init__(self, job: SpeechJob) -> None:
        fault = "MiniMax sent another format than PCM."
        self._pieces = PcmPieces(SAMPLE_RATE_HZ, job.max_samples, fault)

    @property
    def is_full(self) -> bool:
        return self._pieces.is_full

    def begin(self) -> None:
        self._pieces.begin()

    def events(self, segment: int, audio: bytes) -> Iterator[Event]:
        for pcm in self._pieces.feed(audio):
            yield Audio(segment, pcm)


class Mp3Output:
    format = MP3

    def __init__(self, job: SpeechJob, bitrate: int) -> None:
        # This need not be exact, because the server counts the frames.
        seconds = None if job.max_samples is None else job.max_samples / SAMPLE_RATE_HZ
        self._bytes_left = None if seconds is None else round(seconds * bitrate / 8)

    @property
    def is_full(self) -> bool:
        return self._bytes_left is not None and self._bytes_left <= 0

    def begin(self) -> None:
        pass

    def events(self, segment: int, audio: bytes) -> Iterator[Event]:
        for start in range(0, len(audio), _PIECE_BYTES):
            if self.is_full:
                return
            data = audio[start : start + _PIECE_BYTES]
            if self._bytes_left is not None:
                self._bytes_left -= len(data)
            yield Encoded(MP3, data)


Output = PcmOutput | Mp3Output


def output_for(job: SpeechJob, bitrate: int) -> Output:
    return Mp3Output(job, bitrate) if MP3 in job.formats else PcmOutput(job)
