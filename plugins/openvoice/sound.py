"""Sound on its way to the networks: its rate, its spectrum, the speech in it, and a conversion's noise."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final

import numpy as np

from plugins.openvoice.sizes import FFT, HOP, RATE_HZ

SOURCE_HZ: Final = 24_000
"""The rate of the recordings from the server."""
_IN: Final = 160
_OUT: Final = 147
"""So many samples become so many at the model's rate."""
_REACH: Final = 32
"""The samples on either side of a moment that its new sample is made of."""
_CUTOFF: Final = 0.445
"""In shares of the old rate: a little below half of the new one."""
_KAISER: Final = 7.0

_PAD: Final = (FFT - HOP) // 2
_WINDOW: Final = np.hanning(FFT + 1)[:-1].astype(np.float32)
_LEAST_POWER: Final = 1e-6

_FRAME: Final = RATE_HZ // 50
_EDGE_FRAMES: Final = 10
"""The frames that stay before and after speech: pauses up to twice as long are part of it."""
_USUALLY_LOUD: Final = 95
_SILENT_SHARE: Final = 0.03
_QUIETEST: Final = 5e-4

_NOISE_BLOCK: Final = 64


def _filter() -> Any:
    """Return the weights of the old samples for each new sample of a block."""
    moments = np.arange(_OUT) * (_IN / _OUT)
    away = np.arange(_IN + 2 * _REACH) - _REACH - moments[:, None]
    inside = np.sqrt(np.clip(1.0 - (away / _REACH) ** 2, 0.0, None))
    weights = np.sinc(2.0 * _CUTOFF * away) * np.i0(_KAISER * inside) * (np.abs(away) < _REACH)
    return weights / weights.sum(1, keepdims=True)


_FILTER: Final = _filter()


class Resampler:
    """Brings one recording, 16-bit mono, to the model's rate while it comes. Its blocks do not depend on how
    it is cut."""

    def __init__(self) -> None:
        self._held: Any = np.zeros(_REACH)
        self._half = b""
        self._read = self._made = 0

    def feed(self, pcm: bytes) -> bytes:
        pcm = self._half + pcm
        whole = len(pcm) // 2 * 2
        self._half = pcm[whole:]
        self._read += whole // 2
        return self._feed(np.frombuffer(pcm[:whole], "<i2"))

    def finish(self) -> bytes:
        """Return the rest. All of it together is as long as the recording, to a sample."""
        missing = -(-self._read * _OUT // _IN) - self._made
        return self._feed(np.zeros(_IN + _REACH))[: 2 * missing]

    def _feed(self, samples: Any) -> bytes:
        self._held = np.concatenate((self._held, samples))
        blocks = max(0, len(self._held) - 2 * _REACH) // _IN
        made = [_FILTER @ self._held[_IN * each : _IN * (each + 1) + 2 * _REACH] for each in range(blocks)]
        self._held = self._held[_IN * blocks :]
        self._made += _OUT * blocks
        return to_pcm(np.concatenate(made)) if made else b""


def to_pcm(samples: Any) -> bytes:
    return bytes(np.rint(samples).clip(-32768, 32767).astype("<i2").tobytes())


def floats(pcm: bytes | bytearray) -> Any:
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768.0)


def spectrum_of(sound: Any) -> Any:
    """Return the spectrum (bands, frames) of a sound as upstream makes it: one frame for each HOP samples."""
    if len(sound) < FFT:  # too short for its mirror image
        sound = np.pad(sound, (0, FFT - len(sound)))
    padded = np.pad(sound, _PAD, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::HOP]
    found = np.fft.rfft(frames * _WINDOW)
    return np.sqrt(found.real**2 + found.imag**2 + _LEAST_POWER).T.astype(np.float32)


def speech_in(sound: Any) -> Any:
    """Return a sound without its long silences."""
    frames = sound[: len(sound) // _FRAME * _FRAME].reshape(-1, _FRAME)
    if not len(frames):
        return sound[:0]
    levels = np.sqrt((frames.astype(np.float64) ** 2).mean(1))
    is_loud = levels > max(_SILENT_SHARE * float(np.percentile(levels, _USUALLY_LOUD)), _QUIETEST)
    kept = np.convolve(is_loud, np.ones(2 * _EDGE_FRAMES + 1), "full")[_EDGE_FRAMES:-_EDGE_FRAMES] > 0
    return frames[kept].reshape(-1)


class PlacedNoise:
    """Normal numbers by seed and frame: `width` numbers for each, drawn in blocks of frames."""

    def __init__(self, seed: int, width: int) -> None:
        self._seed = seed
        self._width = width

    def between(self, begin: int, end: int) -> Any:
        """Return (width, frames) from `begin` to `end`."""
        first, last = begin // _NOISE_BLOCK, (end - 1) // _NOISE_BLOCK
        drawn = np.concatenate([self._drawn(number) for number in range(first, last + 1)], axis=1)
        return drawn[:, begin - first * _NOISE_BLOCK : end - first * _NOISE_BLOCK]

    def _drawn(self, number: int) -> Any:
        digest = blake2b(f"{self._seed}/{number}".encode(), digest_size=16).digest()
        generator = np.random.Generator(np.random.Philox(key=int.from_bytes(digest)))
        return generator.standard_normal((self._width, _NOISE_BLOCK), dtype=np.float32)
