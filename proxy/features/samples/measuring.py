"""The pitch and the length of a sample, measured of its sound."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from proxy.audio.libav import forbid_threads

forbid_threads()

_RATE_HZ = 16_000
_FRAME_SAMPLES, _HOP_SAMPLES = 640, 160
_BLOCK_FRAMES = 100
_LOWEST_HZ, _HIGHEST_HZ = 60, 400
_LEAST_LIKENESS = 0.5
"""A frame has a pitch if it is at least so similar to itself one period later. 1 is the same."""
_AS_GOOD = 0.9
"""The shortest period with this part of the best similarity is the right one: a sound repeats after two,
too."""
_PAUSE_LOUDNESS = 0.05
"""A frame with less than this part of the loudest frame's loudness is a pause."""
_FEWEST_FRAMES = 20
"""With fewer frames that have a pitch, a voice has none."""

Samples = NDArray[np.float32]


class Measured(NamedTuple):
    """The median pitch in hertz, if the sound has one, and the seconds from the first to the last sound."""

    pitch_hz: float | None
    spoken_s: float


def measure(mp3: bytes) -> Measured:
    """Measure an MP3 of this server. It takes some 50 ms of a core, so call it in a thread."""
    sound = _decoded(mp3)
    if len(sound) < 2 * _FRAME_SAMPLES:
        return Measured(None, 0.0)
    frames = np.lib.stride_tricks.sliding_window_view(sound, _FRAME_SAMPLES)[::_HOP_SAMPLES]
    loudness = np.concatenate([np.sqrt(np.mean(each * each, axis=1)) for each in _blocks(frames)])
    loud = np.flatnonzero(loudness > _PAUSE_LOUDNESS * loudness.max())
    if not len(loud) or not loudness.max():
        return Measured(None, 0.0)
    spoken_s = float(loud[-1] - loud[0]) * _HOP_SAMPLES / _RATE_HZ + _FRAME_SAMPLES / _RATE_HZ
    pitches = np.concatenate([_pitches(frames[each]) for each in _blocks(loud)])
    return Measured(float(np.median(pitches)) if len(pitches) >= _FEWEST_FRAMES else None, spoken_s)


def _blocks(rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the rows in blocks. A whole sample at once would take 50 MB, and glibc keeps half of it."""
    for begin in range(0, len(rows), _BLOCK_FRAMES):
        yield rows[begin : begin + _BLOCK_FRAMES]


def _pitches(frames: Samples) -> NDArray[Any]:
    """Return the pitch of each frame that has one, by its autocorrelation, divided by that of the window."""
    window = np.hanning(_FRAME_SAMPLES)
    of_window = _autocorrelation(window[None, :])[0]
    found = _autocorrelation((frames - frames.mean(axis=1, keepdims=True)) * window)
    shortest, longest = _RATE_HZ // _HIGHEST_HZ, _RATE_HZ // _LOWEST_HZ
    likeness = (
        found[:, : longest + 1] / np.maximum(found[:, :1], 1e-9) / (of_window[: longest + 1] / of_window[0])
    )
    # A column is a period in samples. The first column of `middle` is the period of one sample.
    middle = likeness[:, 1:-1]
    is_peak = (middle >= likeness[:, :-2]) & (middle > likeness[:, 2:])
    is_peak[:, : shortest - 1] = False
    peaks = np.where(is_peak, middle, 0.0)
    best = peaks.max(axis=1)
    first = np.argmax(peaks >= _AS_GOOD * best[:, None], axis=1) + 1
    pitches: NDArray[Any] = _RATE_HZ / first[best >= _LEAST_LIKENESS]
    return pitches


def _autocorrelation(frames: NDArray[Any]) -> NDArray[Any]:
    spectrum = np.fft.rfft(frames, 2 * _FRAME_SAMPLES)
    correlation: NDArray[Any] = np.fft.irfft(spectrum * spectrum.conj())[:, :_FRAME_SAMPLES]
    return correlation


def _decoded(mp3: bytes) -> Samples:
    resampler = av.AudioResampler("flt", "mono", _RATE_HZ)
    parts: list[Samples] = []
    with av.open(io.BytesIO(mp3), "r", format="mp3") as file:
        for frame in file.decode(audio=0):
            parts += [each.to_ndarray()[0] for each in resampler.resample(frame)]
    parts += [each.to_ndarray()[0] for each in resampler.resample(None)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
