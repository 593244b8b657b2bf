"""The steps that fit an engine's sound to its answer: the sample rate, and the speed at the same pitch."""

from __future__ import annotations

import math
from collections.abc import Iterator

import av
import av.filter
import numpy as np
import soxr  # type: ignore[import-untyped]

from proxy.audio.compressed import audio_frame
from proxy.audio.formats import OUTPUT_RATE_HZ, SAMPLE_BYTES, SoundFailed, silence

_PEAK = np.float32(32767)


class Resample:
    """A `Step` that changes the sample rate. After the flush, n samples have become n x target / source,
    rounded.

    It works on floats, since soxr adds dither to 16-bit samples, and silence would not stay silent. For a
    lower rate, it also removes the frequencies that this rate cannot have.
    """

    def __init__(self, source_rate_hz: int, target_rate_hz: int = OUTPUT_RATE_HZ) -> None:
        self._stream = soxr.ResampleStream(source_rate_hz, target_rate_hz, 1, dtype="float32", quality="HQ")

    def feed(self, pcm: bytes) -> bytes:
        return self._resampled(pcm, last=False)

    def flush(self) -> bytes:
        return self._resampled(b"", last=True)

    def _resampled(self, pcm: bytes, *, last: bool) -> bytes:
        try:
            floats = self._stream.resample_chunk(np.frombuffer(pcm, "<i2").astype(np.float32), last=last)
        except RuntimeError as error:
            raise SoundFailed(f"resampling failed: {error}") from error
        # A loud sound overshoots between its samples, and would crack without the clip.
        return bytes(np.clip(np.rint(floats), -_PEAK, _PEAK).astype("<i2").data)


SLOWEST, FASTEST = 0.25, 4.0

# The filter's window at 24 kHz or less, and the most windows of silence that a flush needs. The slowest chain
# needed far fewer.
_WINDOW_SAMPLES = 2048
_MOST_WINDOWS = 32


class Speed:
    """A `Step` that changes the speed by a factor, at the same pitch."""

    def __init__(self, factor: float, rate_hz: int = OUTPUT_RATE_HZ) -> None:
        if not SLOWEST <= factor <= FASTEST:
            raise ValueError(f"a speed of {factor} was asked for; it can be {SLOWEST} to {FASTEST}")
        self._factor = factor
        self._fed_samples = 0
        self._samples_given = 0
        self._rate_hz = rate_hz
        self._window_samples = _WINDOW_SAMPLES * math.ceil(rate_hz / OUTPUT_RATE_HZ)
        self._graph = _tempo_graph(factor, rate_hz)

    def feed(self, pcm: bytes) -> bytes:
        self._fed_samples += len(pcm) // SAMPLE_BYTES
        return self._pushed(pcm)

    def flush(self) -> bytes:
        """Push the rest out with silence: at its end, the filter swallows up to a window of speech."""
        tail = b""
        for _ in range(_MOST_WINDOWS):
            if self._missing_samples() <= 0:
                break
            tail += self._pushed(silence(self._window_samples))
        return tail

    def _missing_samples(self) -> int:
        return round(self._fed_samples / self._factor) - self._samples_given

    def _pushed(self, pcm: bytes) -> bytes:
        if not pcm:
            return b""
        try:
            self._graph.push(audio_frame(pcm, self._rate_hz))
            pulled = b"".join(self._pulled())[: self._missing_samples() * SAMPLE_BYTES]
        except av.error.FFmpegError as error:
            raise SoundFailed(f"fitting the speed failed: {error}") from error
        self._samples_given += len(pulled) // SAMPLE_BYTES
        return pulled

    def _pulled(self) -> Iterator[bytes]:
        while True:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            yield frame.to_ndarray().tobytes()


def _tempo_stages(factor: float) -> tuple[float, ...]:
    """Split a factor into equal factors of 0.5 to 2 each.

    Above 2, the filter drops samples instead of blending them, and it fails on a chunk of one sample.
    """
    count = max(1, math.ceil(abs(math.log2(factor))))
    return (min(2.0, max(0.5, factor ** (1 / count))),) * count


def _tempo_graph(factor: float, rate_hz: int) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=rate_hz, format="s16", layout="mono")
    tempos = [graph.add("atempo", str(stage)) for stage in _tempo_stages(factor)]
    graph.link_nodes(source, *tempos, graph.add("abuffersink")).configure()
    return graph
