"""Recordings of known pitch, brightness and length, as engines get them."""

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 24_000


def waves(pitch_hz: float, seconds: float, tilt: float = 1.0, rate_hz: int = RATE_HZ) -> NDArray[np.float64]:
    """Harmonics of one pitch, each softer than the one before, at a third of full scale."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    sound = sum(np.sin(2 * np.pi * pitch_hz * number * times) / number**tilt for number in range(1, 9))
    return np.asarray(sound / np.abs(sound).max() / 3)


def clip(pitch_hz: float, seconds: float, tilt: float = 1.0, rate_hz: int = RATE_HZ) -> bytes:
    return (waves(pitch_hz, seconds, tilt, rate_hz) * 32_767).astype("<i2").tobytes()
