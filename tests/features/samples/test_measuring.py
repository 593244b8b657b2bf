"""The pitch and the length of a sample, measured of its sound."""

import io

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from proxy.features.samples.measuring import measure
from tests.tables import each_row

_RATE_HZ = 24_000


def _mp3(sound: NDArray[np.float64]) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        stream = container.add_stream("mp3", rate=_RATE_HZ, layout="mono")
        pcm = (sound * 20_000).astype(np.int16)[None, :]
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.rate = _RATE_HZ
        for each in (frame, None):
            container.mux(stream.encode(each))
    return file.getvalue()


def _buzz(hz: float, seconds: float) -> NDArray[np.float64]:
    """A sound with overtones, as a voice has them."""
    at = np.arange(round(seconds * _RATE_HZ)) / _RATE_HZ
    whole = sum(np.sin(2 * np.pi * hz * number * at) / number for number in range(1, 12))
    sound: NDArray[np.float64] = np.asarray(whole) / 2
    return sound


@each_row("hz", [82.0, 110.0, 160.0, 203.0, 260.0])
def test_a_pitch_is_that_of_the_period_and_not_of_two(hz: float) -> None:
    pause = np.zeros(_RATE_HZ)
    found = measure(_mp3(np.concatenate([pause, _buzz(hz, 1.0), pause, _buzz(hz, 1.0), pause])))
    assert found.pitch_hz == pytest.approx(hz, rel=0.02)
    # From the first sound to the last: what is quiet before and after does not count.
    assert found.spoken_s == pytest.approx(3.0, abs=0.15)


@each_row("sound", [np.zeros(_RATE_HZ), np.zeros(100), np.random.default_rng(1).normal(0, 0.2, _RATE_HZ)])
def test_what_has_no_pitch_has_none(sound: NDArray[np.float64]) -> None:
    assert measure(_mp3(sound)).pitch_hz is None
