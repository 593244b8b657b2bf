"""The network's input: a recording at one level, without long silences, in 40 bands.

It equals Resemblyzer's own input to the sixth digit, but does not need librosa, which compiles itself for up
to a minute at its first use.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
HOP = 160
BANDS = 40

_SIZE = 400
_LEVEL_DB = -30.0
_WINDOW = 480
_AVERAGED = 8
_LONGEST_SILENCE = 6
"""A window has 30 ms. A flag is averaged over `_AVERAGED` windows. A silence keeps this many windows."""
_LEAST_SAMPLES = RATE_HZ // 2

Floats = NDArray[np.float32]
IsSpeech = Callable[[bytes], bool]
"""Tells whether 30 ms of PCM have speech."""


def audible_speech(pcm: bytes, is_speech: IsSpeech) -> Floats:
    """Return a recording raised to the level of the training, without its long silences."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32767)
    # A very short recording is padded, although its result is meaningless.
    samples = np.pad(samples, (0, max(0, _LEAST_SAMPLES - len(samples))))
    level = 20 * np.log10(np.sqrt(np.mean(np.square(samples, dtype=np.float64))) + 1e-9)
    if level < _LEVEL_DB:
        samples = samples * np.float32(10 ** ((_LEVEL_DB - level) / 20))
    spoken = _without_silences(samples, is_speech)
    return spoken if len(spoken) >= _LEAST_SAMPLES else samples


def _without_silences(samples: Floats, is_speech: IsSpeech) -> Floats:
    windows = len(samples) // _WINDOW
    samples = samples[: windows * _WINDOW]
    whole = np.clip(np.round(samples * 32767), -32768, 32767).astype("<i2").reshape(windows, _WINDOW)
    flags = np.array([is_speech(window.tobytes()) for window in whole], np.float64)
    padded = np.concatenate([np.zeros((_AVERAGED - 1) // 2), flags, np.zeros(_AVERAGED // 2)])
    averages = np.convolve(padded, np.full(_AVERAGED, 1 / _AVERAGED), "valid")[:windows]
    voiced = np.round(averages)
    is_voiced = np.convolve(voiced, np.ones(_LONGEST_SILENCE + 1), "same")[:windows] > 0
    return samples[np.repeat(is_voiced, _WINDOW)]


def mel_spectrogram(samples: Floats) -> Floats:
    """Return the power in each band for each hop of 10 ms: (hops, bands)."""
    padded = np.pad(samples, _SIZE // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _SIZE)[::HOP]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_SIZE) / _SIZE)
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    return (power @ _filters().T).astype(np.float32)


def _filters() -> NDArray[np.float64]:
    """Return the triangles of Slaney's scale: even steps up to 1 kHz, then even ratios, each of one area."""
    edges = _hz(np.linspace(_mel(0.0), _mel(RATE_HZ / 2), BANDS + 2))
    hz = np.fft.rfftfreq(_SIZE, 1 / RATE_HZ)
    rising = (hz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - hz) / np.diff(edges)[1:, None]
    filters: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling))
    return filters * (2 / (edges[2:] - edges[:-2]))[:, None]


def _mel(hz: float) -> float:
    return hz / (200 / 3) if hz < 1000 else 15 + float(np.log(hz / 1000)) * 27 / float(np.log(6.4))


def _hz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mels < 15, mels * (200 / 3), 1000 * np.exp(np.log(6.4) * (mels - 15) / 27))
