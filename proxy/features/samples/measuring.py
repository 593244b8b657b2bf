"""The pitch and the length of a sample, measured of its sound."""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

_RATE_HZ = 16_000
_FRAME, _HOP = 640, 160
_LOWEST_HZ, _HIGHEST_HZ = 60, 400
_SURE = 0.5
"""The least likeness of a frame to itself a period later, for the frame to have a pitch."""
_NEAR = 0.9
"""A shorter period that is this much as good is the right one: a sound repeats after two periods as well."""
_QUIET = 0.05
"""Of the loudest frame: what is below it is a pause."""
_FEWEST = 20
"""Frames with a pitch. Fewer say nothing of a voice."""

Samples = NDArray[np.float32]


class Measured(NamedTuple):
    """The median pitch in hertz, if the sound has one, and the seconds from the first to the last sound."""

    pitch_hz: float | None
    spoken_s: float


def measure(mp3: bytes) -> Measured:
    """Measure a file that this server made. It takes some 50 ms of a core, so call it in a thread."""
    sound = _decoded(mp3)
    if len(sound) < 2 * _FRAME:
        return Measured(None, 0.0)
    frames = np.lib.stride_tricks.sliding_window_view(sound, _FRAME)[::_HOP]
    loudness = np.sqrt(np.mean(frames * frames, axis=1))
    loud = np.flatnonzero(loudness > _QUIET * loudness.max())
    if not len(loud) or not loudness.max():
        return Measured(None, 0.0)
    spoken_s = float(loud[-1] - loud[0]) * _HOP / _RATE_HZ + _FRAME / _RATE_HZ
    pitches = _pitches(frames[loud])
    return Measured(float(np.median(pitches)) if len(pitches) >= _FEWEST else None, spoken_s)


def _pitches(frames: Samples) -> NDArray[Any]:
    """Return the pitch of each frame that has one, by its autocorrelation, divided by that of the window."""
    window = np.hanning(_FRAME)
    own = _autocorrelation(window[None, :])[0]
    found = _autocorrelation((frames - frames.mean(axis=1, keepdims=True)) * window)
    shortest, longest = _RATE_HZ // _HIGHEST_HZ, _RATE_HZ // _LOWEST_HZ
    likeness = found[:, : longest + 1] / np.maximum(found[:, :1], 1e-9) / (own[: longest + 1] / own[0])
    middle = likeness[:, 1:-1]
    is_peak = (middle >= likeness[:, :-2]) & (middle > likeness[:, 2:])
    is_peak[:, : shortest - 1] = False
    peaks = np.where(is_peak, middle, 0.0)
    best = peaks.max(axis=1)
    first = np.argmax(peaks >= _NEAR * best[:, None], axis=1) + 1
    pitches: NDArray[Any] = _RATE_HZ / first[best >= _SURE]
    return pitches


def _autocorrelation(frames: NDArray[Any]) -> NDArray[Any]:
    spectrum = np.fft.rfft(frames, 2 * _FRAME)
    whole: NDArray[Any] = np.fft.irfft(spectrum * spectrum.conj())[:, :_FRAME]
    return whole


def _decoded(mp3: bytes) -> Samples:
    resampler = av.AudioResampler("flt", "mono", _RATE_HZ)
    parts: list[Samples] = []
    with av.open(io.BytesIO(mp3), "r", format="mp3") as file:
        for frame in file.decode(audio=0):
            parts += [each.to_ndarray()[0] for each in resampler.resample(frame)]
    parts += [each.to_ndarray()[0] for each in resampler.resample(None)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
