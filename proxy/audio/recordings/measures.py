"""The measurements of a recording: the place of its speech, its noise, its bandwidth and its distortion.

This needs only numpy, and reads the recording a few seconds at a time.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.sample_quality import SampleQuality
from policies.sample_rules import SampleMeasures, judge_sample
from proxy.audio.recordings.master import Floats, Master
from proxy.audio.recordings.recording import SpeechRecording

STEP_S = 0.02
"""The length of a step. Each step has a level, which is measured over twice this length."""

_CHUNK_STEPS = 500
_LEAST_HZ, _MOST_HZ = 80.0, 8000.0
_BAND_EDGES_HZ = np.geomspace(100.0, 3800.0, 17)
_BIN_HZ, _BINS = 100.0, 160
_SHARE_ABOVE_BANDWIDTH = 1e-4
"""The share of the energy above the bandwidth."""
_CLIPPED_LEVEL = 0.999
_LEAST_POWER = 1e-10

_LEAST_PAUSE_S = 0.3
_LEAST_SPEECH_RUN_S = 0.1
_LEAST_RISE_DB = 6.0
_RISE_SHARE = 0.35
_RANGE_DB = 35.0
_ESTIMATE_DB = 6.0
"""How much the loudest moments of speech are above its mean."""

Levels = NDArray[np.float64]


class _Analysis(NamedTuple):
    """For each step: its level and the levels of a few bands, in decibels, and its energy in bins of equal
    width. `peak` is the largest sample, `clipped` the share of samples at full scale."""

    levels: Levels
    bands: NDArray[np.float64]
    bins: NDArray[np.float32]
    peak: float
    clipped: float


async def rate_recording(recording: SpeechRecording) -> SampleQuality:
    """Rate a recording, in a thread."""
    return await asyncio.to_thread(rate_master, recording.master)


def rate_master(master: bytes) -> SampleQuality:
    return judge_sample(measure(Master(master)))


def measure(master: Master) -> SampleMeasures:
    found = _analyse(master)
    speech = find_speech(found.levels)
    where = np.flatnonzero(speech)
    floor, loud, threshold = _thresholds(found.levels)
    return SampleMeasures(
        seconds=master.seconds,
        speech_s=len(where) * STEP_S,
        starts_s=float(where[0] * STEP_S) if len(where) else 0.0,
        ends_s=float(min(master.seconds, (where[-1] + 1) * STEP_S)) if len(where) else 0.0,
        peak_db=20 * float(np.log10(max(found.peak, 1e-6))),
        snr_db=max(0.0, loud - floor - _ESTIMATE_DB),
        change_db=_change_db(found.bands[speech & (found.levels > threshold)]),
        bandwidth_hz=_bandwidth_hz(found, speech),
        clipped=found.clipped,
    )


def speech_steps(master: Master) -> NDArray[np.bool_]:
    """Return for each step of `STEP_S` whether it is speech. Pauses below `_LEAST_PAUSE_S` count as
    speech."""
    return find_speech(_analyse(master).levels)


def find_speech(levels: Levels) -> NDArray[np.bool_]:
    _, _, threshold = _thresholds(levels)
    speech = _without_runs(levels > threshold, value=False, shorter_than=round(_LEAST_PAUSE_S / STEP_S))
    return _without_runs(speech, value=True, shorter_than=round(_LEAST_SPEECH_RUN_S / STEP_S))


def _thresholds(levels: Levels) -> tuple[float, float, float]:
    """Return the level of the noise, the level of loud speech, and the level above which a step is speech."""
    floor, loud = (float(np.percentile(levels, share)) for share in (10, 95))
    # The range below loud speech is limited: beside digital silence, even inaudible noise would count as
    # speech.
    return floor, loud, max(floor + max(_LEAST_RISE_DB, _RISE_SHARE * (loud - floor)), loud - _RANGE_DB)


def smooth(levels: Levels) -> Levels:
    return np.convolve(np.pad(levels, 1, "edge"), np.full(3, 1 / 3), "valid")


def _without_runs(steps: NDArray[np.bool_], *, value: bool, shorter_than: int) -> NDArray[np.bool_]:
    steps_left = steps.copy()
    edges = np.flatnonzero(np.diff(steps.astype(np.int8))) + 1
    runs = np.split(np.arange(len(steps)), edges)
    for at, run in enumerate(runs):
        is_end = at in (0, len(runs) - 1)
        if steps[run[0]] == value and len(run) < shorter_than and (value or not is_end):
            steps_left[run] = not value
    return steps_left


def _analyse(master: Master) -> _Analysis:
    rate_hz = master.rate_hz
    step = round(STEP_S * rate_hz)
    size = 2 * step
    window = np.hanning(size).astype(np.float32)
    hz = np.fft.rfftfreq(size, 1 / rate_hz)
    audible = (hz >= _LEAST_HZ) & (hz <= _MOST_HZ)
    band_starts = np.searchsorted(hz, _BAND_EDGES_HZ)
    bin_starts = np.searchsorted(hz, np.arange(0.0, min(hz[-1], _BINS * _BIN_HZ), _BIN_HZ))
    levels, bands, bins = [], [], []
    peak, clipped = 0.0, 0
    steps = max(1, master.samples // step)
    for begin in range(0, steps, _CHUNK_STEPS):
        count = min(_CHUNK_STEPS, steps - begin)
        samples = master.read(begin * step, (begin + count) * step + step)
        peak = max(peak, float(np.abs(samples).max(initial=0.0)))
        own = samples[: count * step]
        clipped += int(np.count_nonzero(np.abs(own) >= _CLIPPED_LEVEL))
        power = _powers(samples, count, step, window)
        levels.append(power[:, audible].sum(axis=1))
        bands.append(np.add.reduceat(power, band_starts, axis=1)[:, :-1])
        bins.append(np.add.reduceat(power, bin_starts, axis=1))
    return _Analysis(
        smooth(_db(np.concatenate(levels))),
        _db(np.concatenate(bands)),
        np.concatenate(bins),
        peak,
        clipped / max(1, master.samples),
    )


def _powers(samples: Floats, count: int, step: int, window: Floats) -> NDArray[np.float32]:
    padded = np.zeros((count + 1) * step, np.float32)
    padded[: len(samples)] = samples[: len(padded)]
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * step)[::step][:count]
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    return (power / np.sum(window) ** 2).astype(np.float32)


def _db(power: NDArray[np.float32]) -> Levels:
    return 10 * np.log10(power.astype(np.float64) + _LEAST_POWER)


def _change_db(bands: NDArray[np.float64]) -> float:
    """Return how much the bands change against one another over time: the median of their standard
    deviations."""
    if len(bands) < 2:
        return 0.0
    colour = bands - bands.mean(axis=1, keepdims=True)
    return float(np.median(colour.std(axis=0)))


def _bandwidth_hz(found: _Analysis, speech: NDArray[np.bool_]) -> float:
    """Return the highest frequency of the voice, after the noise of the pauses was subtracted."""
    if not speech.any():
        return 0.0
    mean = found.bins[speech].mean(axis=0, dtype=np.float64)
    if not speech.all():
        mean = np.maximum(mean - found.bins[~speech].mean(axis=0, dtype=np.float64), 0.0)
    above = np.cumsum(mean[::-1])[::-1]
    return float(np.count_nonzero(above > _SHARE_ABOVE_BANDWIDTH * above[0]) * _BIN_HZ)
