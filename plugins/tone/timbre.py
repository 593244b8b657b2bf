"""Measure the timbre of a recording, and write it as a signature into the speech of a cloned voice.

A wrong rate or channel moves the pitch, and a wrong trim changes the length. So the signature tells which
recording reached the engine, and whether it was whole. It is a frame before the text, because Opus would bend
the text's tones if other tones sounded with them.
"""

from __future__ import annotations

import math
import zlib
from array import array
from collections.abc import Iterable, Sequence
from operator import mul, sub
from statistics import median
from typing import NamedTuple

MARKER = "\udcff"
"""The first letter of a signature: the byte 0xFF, which no text in UTF-8 has."""

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-"
_SIGNATURE_LETTERS = 6
_PITCH_STEPS, _BRIGHTNESS_STEPS, _SECONDS_STEPS = 8192, 1024, 4096
_PITCHES_A_HZ, _BRIGHTNESSES, _SECONDS_A_S = 10, 1000, 100
_MOST_PITCH_HZ, _LEAST_PITCH_HZ = 500, 50

_ANALYSIS_HZ = 8_000
_FRAME = _ANALYSIS_HZ // 25
_MOST_FRAMES = 12
_LAGS = range(_ANALYSIS_HZ // _MOST_PITCH_HZ, _ANALYSIS_HZ // _LEAST_PITCH_HZ + 1)
_CLEAR = 0.6
"""The least correlation of a frame that has a pitch."""
_NEARLY_BEST = 0.85
"""A shorter period that correlates nearly as well is the real one. Its multiples correlate, too."""


class Timbre(NamedTuple):
    """The median pitch, 0 without any; the brightness from 0 to 1; and the length of the recording."""

    pitch_hz: float
    brightness: float
    seconds: float

    @property
    def signature(self) -> str:
        """The timbre as a text of seven letters. In every codec a frame of it is as safe as any other."""
        number = min(_PITCH_STEPS - 1, round(self.pitch_hz * _PITCHES_A_HZ))
        number = number * _BRIGHTNESS_STEPS + min(
            _BRIGHTNESS_STEPS - 1, round(self.brightness * _BRIGHTNESSES)
        )
        number = number * _SECONDS_STEPS + min(_SECONDS_STEPS - 1, round(self.seconds * _SECONDS_A_S))
        places = range(_SIGNATURE_LETTERS - 1, -1, -1)
        return MARKER + "".join(
            _LETTERS[number // len(_LETTERS) ** place % len(_LETTERS)] for place in places
        )

    @classmethod
    def of_signature(cls, text: str) -> Timbre:
        number = 0
        for letter in text.removeprefix(MARKER):
            number = number * len(_LETTERS) + _LETTERS.index(letter)
        number, seconds = divmod(number, _SECONDS_STEPS)
        pitch, brightness = divmod(number, _BRIGHTNESS_STEPS)
        return cls(pitch / _PITCHES_A_HZ, brightness / _BRIGHTNESSES, seconds / _SECONDS_A_S)


def measure(recordings: Sequence[bytes], sample_rate_hz: int) -> Timbre:
    """Measure recordings (s16le mono) together. It takes some 50 ms, so call it in a thread."""
    each = [_measure(array("h", pcm), sample_rate_hz) for pcm in recordings]
    return blend((timbre, 1 / len(each)) for timbre in each)


def blend(parts: Iterable[tuple[Timbre, float]]) -> Timbre:
    pitch_hz = brightness = seconds = 0.0
    for timbre, weight in parts:
        pitch_hz += weight * timbre.pitch_hz
        brightness += weight * timbre.brightness
        seconds += weight * timbre.seconds
    return Timbre(pitch_hz, brightness, seconds)


def nominal_timbre(voice: str) -> Timbre:
    """Return the timbre that an ordinary voice has in a mix."""
    return Timbre(100.0 + zlib.crc32(voice.encode()) % 200, 0.5, 0.0)


def _measure(samples: array[int], sample_rate_hz: int) -> Timbre:
    step = max(1, sample_rate_hz // _ANALYSIS_HZ)
    slow = list(map(sum, zip(*(samples[offset::step] for offset in range(step)), strict=False)))
    frames = _loudest_frames(slow)
    rate_hz = sample_rate_hz / step
    pitches = [rate_hz / period for frame in frames if (period := _period(frame))]
    energy = sum(sum(map(mul, frame, frame)) for frame in frames)
    moved = 0
    for frame in frames:
        steps = list(map(sub, frame[1:], frame))
        moved += sum(map(mul, steps, steps))
    brightness = math.sqrt(moved / energy) / 2 if energy else 0.0
    return Timbre(median(pitches) if pitches else 0.0, brightness, len(samples) / sample_rate_hz)


def _loudest_frames(samples: list[int]) -> list[list[int]]:
    """Return frames of speech from all parts of a recording, each long enough for the longest period."""
    length = _FRAME + _LAGS[-1]
    starts = range(0, max(1, len(samples) - length), _FRAME)
    energies = [sum(map(abs, samples[at : at + _FRAME])) for at in starts]
    loud = [at for at, energy in zip(starts, energies, strict=True) if energy * 4 >= max(energies)]
    spread = max(1, len(loud) // _MOST_FRAMES)
    return [samples[at : at + length] for at in loud[::spread]]


def _period(frame: list[int]) -> float | None:
    """Return the period of a frame in samples, or None if it has no clear one."""
    if len(frame) < _FRAME + _LAGS[-1]:
        return None
    head = frame[:_FRAME]
    energy = sum(map(mul, head, head))
    found = []
    for lag in (_LAGS[0] - 1, *_LAGS):
        tail = frame[lag : lag + _FRAME]
        norm = math.sqrt(energy * sum(map(mul, tail, tail)))
        found.append(sum(map(mul, head, tail)) / norm if norm else 0.0)
    peaks = [at for at in range(1, len(found) - 1) if found[at - 1] <= found[at] > found[at + 1]]
    best = max((found[at] for at in peaks), default=0.0)
    if best < _CLEAR:
        return None
    at = next(at for at in peaks if found[at] >= _NEARLY_BEST * best)
    before, here, after = found[at - 1 : at + 2]
    return _LAGS[0] - 1 + at + (before - after) / (2 * (before - 2 * here + after))
