"""Loudness by the standard's own yardsticks, and a gain that reaches its level and never clips."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from proxy.audio.loudness import Gain
from speech_engine.loudness import Meter, lufs, true_peaks
from tests.tables import each_row

RATES = [8_000, 16_000, 22_050, 24_000, 44_100, 48_000]
FULL_SCALE_997_HZ = -3.01
"""What the standard gives for a sine of full scale in one channel."""


def sine(
    seconds: float, *, decibels: float = 0.0, pitch_hz: float = 997, rate_hz: int = 24_000
) -> NDArray[np.float64]:
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.asarray(np.sin(2 * np.pi * pitch_hz * times) * 10 ** (decibels / 20))


def pcm(samples: NDArray[np.float64]) -> bytes:
    return np.rint(samples * 32767).astype("<i2").tobytes()


def measured(data: bytes, rate_hz: int = 24_000, piece: int = 4096) -> float | None:
    meter = Meter(rate_hz)
    for at in range(0, len(data), piece):
        meter.feed(data[at : at + piece])
    return lufs(meter.powers)


@each_row("rate_hz", RATES)
@each_row("decibels", [0.0, -20.0, -40.0])
def test_the_reference_sine_at_every_rate(rate_hz: int, decibels: float) -> None:
    found = measured(pcm(sine(5, decibels=decibels, rate_hz=rate_hz)), rate_hz)
    assert found == pytest.approx(FULL_SCALE_997_HZ + decibels, abs=0.1)


@each_row("pitch_hz", [50, 100, 500, 2_000, 4_000, 8_000])
def test_other_sounds_are_weighted_as_the_standard_says(pitch_hz: float) -> None:
    weight_db = _standard_db(pitch_hz) - _standard_db(997)
    assert abs(weight_db) > 0.5
    found = measured(pcm(sine(5, decibels=-10, pitch_hz=pitch_hz)))
    assert found == pytest.approx(FULL_SCALE_997_HZ - 10 + weight_db, abs=0.2)


def _standard_db(pitch_hz: float) -> float:
    """By its two tables of coefficients, which are for 48 kHz."""
    turn = np.exp(-2j * np.pi * pitch_hz / 48_000 * np.arange(3))
    sample_cache = turn @ np.array([1.53512485958697, -2.69169618940638, 1.19839281085285])
    sample_cache /= turn @ np.array([1.0, -1.69065929318241, 0.73248077421585])
    high_pass = turn @ np.array([1.0, -2.0, 1.0])
    high_pass /= turn @ np.array([1.0, -1.99004745483398, 0.99007225036621])
    return 20 * math.log10(abs(sample_cache * high_pass))


def test_pauses_do_not_count() -> None:
    loud, quiet = sine(3, decibels=-20), sine(3, decibels=-36)
    assert measured(pcm(np.concatenate((loud, np.zeros(24_000 * 9))))) == pytest.approx(-23.0, abs=0.3)
    # What is ten decibels below the rest is a pause too; the standard's own test has such a signal.
    assert measured(pcm(np.concatenate((quiet, sine(6, decibels=-23), quiet)))) == pytest.approx(-26, abs=0.2)


def test_loudness_is_measured_over_blocks_of_400_ms() -> None:
    """Of each, whatever of it is heard: a tenth of a second of sound in every one is 6 dB less than all."""
    burst = np.concatenate((sine(0.1, decibels=-20), np.zeros(round(0.3 * 24_000))))
    assert measured(pcm(np.tile(burst, 12))) == pytest.approx(-23.0 - 6.0, abs=0.2)


@each_row("seconds", [0.1, 0.25, 0.39])
def test_a_sound_shorter_than_a_block_is_measured_by_all_of_it(seconds: float) -> None:
    assert measured(pcm(sine(seconds, decibels=-20))) == pytest.approx(-23.0, abs=0.5)


@each_row("data", [b"", bytes(2), bytes(48_000 * 3), pcm(sine(2, decibels=-75))])
def test_silence_has_no_loudness(data: bytes) -> None:
    assert measured(data) is None


@given(st.lists(st.integers(1, 20_000), min_size=1, max_size=6))
def test_how_it_is_cut_does_not_matter(pieces: list[int]) -> None:
    data = pcm(sine(1.5, decibels=-14) * np.linspace(0.2, 1, 36_000))
    meter = Meter()
    at = 0
    for piece in [*pieces, len(data)]:
        meter.feed(data[at : at + 2 * piece])
        at += 2 * piece
    whole = Meter()
    whole.feed(data)
    assert meter.powers == pytest.approx(whole.powers, rel=1e-9)


@each_row("decibels", [-20.0, -3.0, 0.0, 6.0, 15.0])
def test_a_gain_moves_the_level_by_as_much(decibels: float) -> None:
    before = pcm(sine(3, decibels=-20))
    found = measured(gained(decibels, before))
    assert found == pytest.approx(-23.01 + decibels, abs=0.05)


def gained(decibels: float, pcm_: bytes, piece: int = 4096) -> bytes:
    gain = Gain(decibels)
    parts = [gain.feed(pcm_[at : at + piece]) for at in range(0, len(pcm_), piece)]
    return b"".join(parts) + gain.flush()


def peak_dbtp(data: bytes) -> float:
    return 20 * math.log10(true_peaks(np.pad(np.frombuffer(data, "<i2") / 32768, 6)).max() + 1e-9)


@given(
    st.floats(-20, 15),
    arrays(np.int16, st.integers(1, 2_000), elements=st.integers(-32768, 32767)),
    st.integers(1, 999).map(lambda samples: 2 * samples),
)
def test_no_peak_is_too_high_and_no_sample_is_lost(
    decibels: float, samples: NDArray[np.int16], piece: int
) -> None:
    before = samples.astype("<i2").tobytes()
    after = gained(decibels, before, piece)
    assert len(after) == len(before)
    assert peak_dbtp(after) <= -1.15
    assert after == gained(decibels, before)


@each_row("pitch_hz", [100, 997, 5_999, 6_000])
def test_peaks_between_samples_are_limited_from_the_first_one_on(pitch_hz: float) -> None:
    sound = sine(1, pitch_hz=pitch_hz) * np.linspace(1.0, 0.2, 24_000)
    assert peak_dbtp(gained(6.0, pcm(sound))) == pytest.approx(-1.2, abs=0.05)


def test_a_peak_is_softer_for_a_moment_alone() -> None:
    sound = sine(2, decibels=-12, pitch_hz=200)
    sound[24_000:24_024] *= 4
    change = np.frombuffer(gained(0.0, pcm(sound)), "<i2") / 32768 - sound
    moved = np.flatnonzero(np.abs(change) > 0.005) / 24
    assert 995 <= moved[0] < moved[-1] < 1_001 + 4 * 80


def test_a_sound_that_was_not_too_loud_keeps_its_shape() -> None:
    samples = np.array([0, 1000, -1000, 12_000, -12_000], dtype="<i2")
    after = np.frombuffer(gained(6.0, samples.tobytes()), "<i2")
    assert after == pytest.approx(samples * 10 ** (6 / 20), abs=2)
