"""Sound on its way to the networks: its rate, its spectrum, the speech in it, and a conversion's noise."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

import numpy as np

from plugins.openvoice.layers import FFT
from plugins.openvoice.model_format import HOP, RATE_HZ

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


def _filter() -> Any:
    """Return the weights of the old samples for each new sample of a block."""
    moments = np.arange(_OUT) * (_IN / _OUT)
    away = np.arange(_IN + 2 * _REACH) - _REACH - moments[:, None]
    inside = np.sqrt(np.clip(1.0 - (away / _REACH) ** 2, 0.0, None))
    weights = np.sinc(2.0 * _CUTOFF * away) * np.i0(_KAISER * inside) * (np.abs(away) < _REACH)
    return weights / weights.sum(1, keepdims=True)


_FILTER: Final = _filter()


async def at_model_rate(pcm: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield a recording, 16-bit mono, at the model's rate. It stays as long, to a sample, and its blocks do
    not depend on how it is cut."""
    held, half, read, made = np.zeros(_REACH), b"", 0, 0
    async for data in pcm:
        samples = np.frombuffer((half + data)[: (len(half) + len(data)) // 2 * 2], "<i2")
        half = (half + data)[2 * len(samples) :]
        read += len(samples)
        sound, held = _blocks(np.concatenate((held, samples)))
        made += len(sound)
        yield to_pcm(sound)
    sound, _ = _blocks(np.concatenate((held, np.zeros(_IN + _REACH))))
    yield to_pcm(sound[: -(-read * _OUT // _IN) - made])


def _blocks(held: Any) -> tuple[Any, Any]:
    """Return the new samples of all whole blocks, and the old samples that later ones need."""
    ends = range(_IN + 2 * _REACH, len(held) + 1, _IN)
    # One by one: in a product of all of them, each would differ a little by their number.
    made = [_FILTER @ held[end - _IN - 2 * _REACH : end] for end in ends]
    return np.concatenate([*made, np.zeros(0)]), held[_IN * len(made) :]


def to_pcm(samples: Any) -> bytes:
    return bytes(np.rint(samples).clip(-32768, 32767).astype("<i2").tobytes())


def floats(pcm: bytes) -> Any:
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
    levels = np.sqrt((frames.astype(np.float64) ** 2).mean(1))
    usually_loud = np.percentile(levels, _USUALLY_LOUD) if len(levels) else 0.0
    is_loud = levels > max(_SILENT_SHARE * usually_loud, _QUIETEST)
    near = np.convolve(np.pad(is_loud, _EDGE_FRAMES), np.ones(2 * _EDGE_FRAMES + 1), "valid")
    return frames[near > 0].reshape(-1)


def noise_of(seed: int, width: int, frames: range) -> Any:
    """Return normal numbers (width, frames). Those of a frame depend on the seed and on its number alone."""
    numbers = np.empty((len(frames), width), np.float32)
    for row, frame in zip(numbers, frames, strict=True):
        generator = np.random.Philox(key=seed, counter=frame << 64)
        np.random.Generator(generator).standard_normal(dtype=np.float32, out=row)
    return numbers.T
