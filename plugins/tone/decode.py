"""Hears what the tone engine said: every frame of a recording, whatever codec or resampler lay between.

For tests and tools; needs numpy, which the engine itself does without.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plugins.tone.frames import (
    CHECK_BYTES,
    LENGTH_BYTES,
    PREAMBLE,
    PREAMBLE_HZ,
    SYMBOL_S,
    TONES_HZ,
)

Places = NDArray[np.floating[Any]]

_HOPS = 4
"""Places tried for each symbol when looking for frames."""

_FOUND = 0.75
"""How much of the sound must be the preamble's: data can have four sevenths, by the tones it shares."""

_QUIET = 0.05
"""Of the loudest symbol's amplitude: what is below is an encoder's noise, or silence."""

_DOUBTFUL, _MOST_DOUBTED = 8, 3
"""Among how many of the least certain symbols, and how many of those at once, a second reading is tried."""

_ALL_TONES_HZ = (PREAMBLE_HZ, *TONES_HZ)
_PREAMBLE_TONES = np.array([_ALL_TONES_HZ.index(tone_hz) for tone_hz in PREAMBLE])


class DamagedFrame(ValueError):
    """Something in the recording is no whole frame; `at_s` is where. It never quotes what was understood."""

    def __init__(self, message: str, at_s: float) -> None:
        super().__init__(f"{message} at {at_s:.2f} s")
        self.at_s = at_s


def decode(pcm: NDArray[Any], sample_rate_hz: int, speed: float = 1.0) -> tuple[str, ...]:
    """The text of every frame, in order. Takes mono float or int16 samples at any rate from 8 kHz up.

    Raises `DamagedFrame` where a checksum fails, a frame is cut off, sound belongs to no frame, or
    the whole recording has none.
    """
    if sample_rate_hz < 8_000 or pcm.ndim != 1:
        raise ValueError("decode takes mono samples at 8 kHz or more")
    recording = _Recording(np.asarray(pcm, dtype=np.float32), sample_rate_hz, speed)
    texts: list[str] = []
    heard_to = 0.0
    for start in recording.frame_starts():
        recording.expect_silence(heard_to, start)
        text, heard_to = recording.read(start)
        texts.append(text)
    recording.expect_silence(heard_to, recording.length)
    if not texts:
        raise DamagedFrame("no frame was found in the recording that ends", len(pcm) / sample_rate_hz)
    return tuple(texts)


class _Recording:
    """Samples and the tones in them. Places are counted in samples and may lie between two."""

    def __init__(self, samples: NDArray[np.float32], sample_rate_hz: int, speed: float) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.length = float(len(samples))
        self.symbol = SYMBOL_S * sample_rate_hz / speed
        # The inner three quarters: without the ramps, and with room for being a little off.
        self._window = round(self.symbol * 0.75)
        self._inset = (self.symbol - self._window) / 2
        # Silence around it, so that a symbol at either edge can be read where an encoder cut into it.
        self._margin = 2 * round(self.symbol)
        self._samples = np.pad(samples, self._margin)
        turns = np.outer(np.arange(self._window), _ALL_TONES_HZ) * (2 * np.pi / sample_rate_hz)
        self._tones = np.hstack([np.cos(turns), np.sin(turns)]).astype(np.float32)
        self._hops = np.arange(-self.symbol, self.length, self.symbol / _HOPS)
        self._shares, energies = self._listen(self._hops)
        self._loud = energies > energies.max(initial=0.0) * _QUIET**2
        self._shares[~self._loud] = 0.0

    def frame_starts(self) -> Iterator[float]:
        """Where the preambles begin, each to a fraction of a symbol."""
        reach = (len(PREAMBLE) - 1) * _HOPS
        places = max(0, len(self._hops) - reach)
        match = np.zeros(places)
        for number, tone in enumerate(_PREAMBLE_TONES):
            match += self._shares[number * _HOPS : number * _HOPS + places, tone] / len(PREAMBLE)
        free_from = 0
        for found in np.flatnonzero(match > _FOUND).tolist():
            if found >= free_from:
                best = found + int(np.argmax(match[found : found + _HOPS]))
                free_from = best + reach
                yield self._refined(float(self._hops[best]))

    def read(self, start: float) -> tuple[str, float]:
        """The frame's text, and where its sound ends."""
        # A codec may smear the preamble: a step to either side is tried before a frame is given up.
        for nudge in (0.0, -0.06, 0.06, -0.12, 0.12):
            first = start + (len(PREAMBLE) + nudge) * self.symbol
            for length in {int.from_bytes(data, "big") for data in self._readings(first, LENGTH_BYTES, 1)}:
                count = LENGTH_BYTES + length + CHECK_BYTES
                end = first + 2 * count * self.symbol
                if end > self.length + self.symbol:
                    continue
                for data in self._readings(first, count, _MOST_DOUBTED):
                    text, check = data[LENGTH_BYTES:-CHECK_BYTES], data[-CHECK_BYTES:]
                    if zlib.crc32(text).to_bytes(CHECK_BYTES, "big") == check:
                        return text.decode(), end
        raise DamagedFrame("a frame is damaged or cut off", start / self.sample_rate_hz)

    def expect_silence(self, start: float, end: float) -> None:
        # A symbol and a half on either side belongs to the frames: encoders smear.
        room = 1.5 * self.symbol
        between = (self._hops > start + room) & (self._hops < end - room - self.symbol)
        if (loud := np.flatnonzero(between & self._loud)).size:
            raise DamagedFrame("sound that belongs to no frame", self._hops[loud[0]] / self.sample_rate_hz)

    def _refined(self, start: float) -> float:
        fine = start + np.linspace(-0.3, 0.3, 41) * self.symbol
        symbols = np.arange(len(PREAMBLE)) * self.symbol
        shares, _ = self._listen((fine[:, None] + symbols).ravel())
        match = shares.reshape(len(fine), len(PREAMBLE), -1)[:, np.arange(len(PREAMBLE)), _PREAMBLE_TONES]
        scores = match.mean(axis=1)
        # The middle of the best places: a whole plateau of them is equally good.
        return float(fine[scores >= scores.max() - 0.005].mean())

    def _readings(self, first: float, count: int, doubted: int) -> Iterator[bytes]:
        """What these bytes say; then with up to `doubted` of the least certain symbols read second best.

        Opus bends one short tone in some ten thousands into its neighbour. Which one it was shows in how
        narrowly it won, and the checksum is the judge, so that nothing is ever guessed.
        """
        shares, _ = self._listen(first + np.arange(2 * count) * self.symbol)
        order = np.argsort(shares[:, 1:], axis=1)
        best, second = order[:, -1].astype(np.uint8), order[:, -2].astype(np.uint8)
        row = np.arange(len(best))
        margin = shares[row, 1 + best] - shares[row, 1 + second]
        weakest = np.argsort(margin)[:_DOUBTFUL].tolist()
        for changes in range(doubted + 1):
            for changed in combinations(weakest, changes):
                nibbles = best.copy()
                nibbles[list(changed)] = second[list(changed)]
                yield bytes(nibbles[0::2] << 4 | nibbles[1::2])

    def _listen(self, places: Places) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """For the symbol at each place: which part of its energy each tone has, and that energy."""
        shares = np.zeros((len(places), len(_ALL_TONES_HZ)), np.float32)
        energies = np.zeros(len(places), np.float32)
        last = len(self._samples) - self._window
        begins = np.clip(np.rint(places + self._inset).astype(np.int64) + self._margin, 0, last)
        # In blocks, or an hour of audio would take gigabytes.
        for at in range(0, len(places), 4096):
            block = slice(at, at + 4096)
            windows = self._samples[begins[block, None] + np.arange(self._window)]
            energies[block] = np.einsum("ij,ij->i", windows, windows)
            parts = (windows @ self._tones) ** 2
            power = parts[:, : len(_ALL_TONES_HZ)] + parts[:, len(_ALL_TONES_HZ) :]
            shares[block] = power * (2 / self._window) / np.maximum(energies[block, None], 1e-9)
        return shares, energies
