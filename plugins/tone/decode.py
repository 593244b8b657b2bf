"""Decode the sound of the tone engine: every frame of a recording, after any codec or resampler.

It is for tests and tools. It needs numpy, which the engine itself does not need.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plugins.tone.frames import CHECK_BYTES, LENGTH_BYTES, PREAMBLE, PREAMBLE_HZ, SYMBOL_S, TONES_HZ
from plugins.tone.timbre import MARKER, Timbre

Places = NDArray[np.floating[Any]]

_HOPS = 4
"""Places to try for each symbol in the search for frames."""

_FOUND = 0.75
"""Share of the sound that must be the preamble's.

Data can reach four sevenths, because the preamble and the data share tones.
"""

_QUIET = 0.05
"""Share of the loudest symbol's amplitude. Sound below it is an encoder's noise, or silence."""

_DOUBTFUL, _MOST_DOUBTED = 8, 3
"""Number of the least certain symbols, and how many of them at once get a second reading."""

_ALL_TONES_HZ = (PREAMBLE_HZ, *TONES_HZ)
_PREAMBLE_TONES = np.array([_ALL_TONES_HZ.index(tone_hz) for tone_hz in PREAMBLE])


class DamagedFrame(ValueError):
    """A part of the recording, at `at_s`, is no whole frame. The error never quotes the text."""

    def __init__(self, message: str, at_s: float) -> None:
        super().__init__(f"{message} at {at_s:.2f} s")
        self.at_s = at_s


class Frame(NamedTuple):
    """A text, from its preamble to the end of its sound."""

    text: str
    start_s: float
    end_s: float

    def __repr__(self) -> str:
        return f"<Frame {self.start_s:.2f}-{self.end_s:.2f}>"


def find_frames(pcm: NDArray[Any], sample_rate_hz: int) -> list[Frame]:
    """Return the whole frames in a recording at speed 1, without signatures. All else is left out."""
    recording = _Recording(np.asarray(pcm, dtype=np.float32), sample_rate_hz, 1.0)
    found: list[Frame] = []
    for start in recording.frame_starts():
        try:
            text, end = recording.read(start)
        except DamagedFrame:
            continue
        if not text.startswith(MARKER):
            found.append(Frame(text, max(0.0, start) / sample_rate_hz, end / sample_rate_hz))
    return found


def decode(pcm: NDArray[Any], sample_rate_hz: int, speed: float = 1.0) -> tuple[str, ...]:
    """Return the text of every frame, in order, without the signatures of cloned voices.

    The samples are mono, float or int16, at any rate from 8 kHz up. The function raises
    `DamagedFrame` if a checksum fails, a frame is cut off, sound belongs to no frame, or the whole
    recording has no frame.
    """
    return tuple(text for text in _texts(pcm, sample_rate_hz, speed) if not text.startswith(MARKER))


def decode_timbres(pcm: NDArray[Any], sample_rate_hz: int, speed: float = 1.0) -> tuple[Timbre, ...]:
    """Return the timbres that the signatures of cloned voices tell, in order. It raises as `decode` does."""
    texts = _texts(pcm, sample_rate_hz, speed)
    return tuple(Timbre.of_signature(text) for text in texts if text.startswith(MARKER))


def _texts(pcm: NDArray[Any], sample_rate_hz: int, speed: float) -> list[str]:
    if sample_rate_hz < 8_000 or pcm.ndim != 1:
        raise ValueError("decode takes mono samples at 8 kHz or more")
    recording = _Recording(np.asarray(pcm, dtype=np.float32), sample_rate_hz, speed)
    texts: list[str] = []
    frame_end = 0.0
    for start in recording.frame_starts():
        recording.expect_silence(frame_end, start)
        text, frame_end = recording.read(start)
        texts.append(text)
    recording.expect_silence(frame_end, recording.length)
    if not texts:
        raise DamagedFrame("no frame was found in the recording that ends", len(pcm) / sample_rate_hz)
    return texts


class _Recording:
    """Samples and the tones in them. A place is a number of samples and may lie between two."""

    def __init__(self, samples: NDArray[np.float32], sample_rate_hz: int, speed: float) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.length = float(len(samples))
        self.symbol = SYMBOL_S * sample_rate_hz / speed
        # The window is the inner three quarters. It leaves out the ramps, and may be a little off.
        self._window = round(self.symbol * 0.75)
        self._inset = (self.symbol - self._window) / 2
        # The silence lets a symbol at an edge be read even if an encoder cut into it.
        self._margin = 2 * round(self.symbol)
        self._samples = np.pad(samples, self._margin)
        turns = np.outer(np.arange(self._window), _ALL_TONES_HZ) * (2 * np.pi / sample_rate_hz)
        self._tones = np.hstack([np.cos(turns), np.sin(turns)]).astype(np.float32)
        self._hops = np.arange(-self.symbol, self.length, self.symbol / _HOPS)
        self._shares, energies = self._listen(self._hops)
        self._loud = energies > energies.max(initial=0.0) * _QUIET**2
        self._shares[~self._loud] = 0.0

    def frame_starts(self) -> Iterator[float]:
        """Yield the places where the preambles begin, each to a fraction of a symbol."""
        reach = (len(PREAMBLE) - 1) * _HOPS
        places = max(0, len(self._hops) - reach)
        match = np.zeros(places)
        for number, tone in enumerate(_PREAMBLE_TONES):
            match += self._shares[number * _HOPS : number * _HOPS + places, tone] / len(PREAMBLE)
        free_from = 0
        for hop in np.flatnonzero(match > _FOUND).tolist():
            if hop >= free_from:
                best = hop + int(np.argmax(match[hop : hop + _HOPS]))
                free_from = best + reach
                yield self._refined(float(self._hops[best]))

    def read(self, start: float) -> tuple[str, float]:
        """Return the text of the frame whose preamble begins here, and where its sound ends."""
        # A codec may smear the preamble, so the frame is also tried a small step to either side.
        for nudge in (0.0, -0.06, 0.06, -0.12, 0.12):
            first = start + (len(PREAMBLE) + nudge) * self.symbol
            # The likeliest length comes first. It is mostly right.
            likely = (int.from_bytes(data, "big") for data in self._readings(first, LENGTH_BYTES, 1))
            for length in dict.fromkeys(likely):
                count = LENGTH_BYTES + length + CHECK_BYTES
                end = first + 2 * count * self.symbol
                if end > self.length + self.symbol:
                    continue
                for data in self._readings(first, count, _MOST_DOUBTED):
                    text, check = data[LENGTH_BYTES:-CHECK_BYTES], data[-CHECK_BYTES:]
                    if zlib.crc32(text).to_bytes(CHECK_BYTES, "big") == check:
                        return text.decode(errors="surrogateescape"), end
        raise DamagedFrame("a frame is damaged or cut off", start / self.sample_rate_hz)

    def expect_silence(self, start: float, end: float) -> None:
        # A symbol and a half on either side belongs to the frames, because encoders smear.
        room = 1.5 * self.symbol
        between = (self._hops > start + room) & (self._hops < end - room - self.symbol)
        if (loud := np.flatnonzero(between & self._loud)).size:
            raise DamagedFrame("sound that belongs to no frame", self._hops[loud[0]] / self.sample_rate_hz)

    def _refined(self, start: float) -> float:
        """Return the middle of the best ones of 41 places, up to 0.3 symbols before and after `start`."""
        fine = start + np.linspace(-0.3, 0.3, 41) * self.symbol
        symbols = np.arange(len(PREAMBLE)) * self.symbol
        shares, _ = self._listen((fine[:, None] + symbols).ravel())
        match = shares.reshape(len(fine), len(PREAMBLE), -1)[:, np.arange(len(PREAMBLE)), _PREAMBLE_TONES]
        scores = match.mean(axis=1)
        # A whole plateau of places is equally good, so this takes the middle of them.
        return float(fine[scores >= scores.max() - 0.005].mean())

    def _readings(self, first: float, count: int, most_changes: int) -> Iterator[bytes]:
        """Yield the best reading of these bytes, then others with up to `most_changes` new symbols.

        Opus bends one short tone in some ten thousands into its neighbour. A bent tone wins narrowly, so the
        least certain symbols are changed. The checksum decides, so no symbol is guessed.
        """
        shares, _ = self._listen(first + np.arange(2 * count) * self.symbol)
        order = np.argsort(shares[:, 1:], axis=1)
        best, second = order[:, -1].astype(np.uint8), order[:, -2].astype(np.uint8)
        row = np.arange(len(best))
        margin = shares[row, 1 + best] - shares[row, 1 + second]
        weakest = np.argsort(margin)[:_DOUBTFUL].tolist()
        for changes in range(most_changes + 1):
            for indices in combinations(weakest, changes):
                nibbles = best.copy()
                nibbles[list(indices)] = second[list(indices)]
                yield bytes(nibbles[0::2] << 4 | nibbles[1::2])

    def _listen(self, places: Places) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return each tone's part of the energy of the symbol at each place, and that energy."""
        shares = np.zeros((len(places), len(_ALL_TONES_HZ)), np.float32)
        energies = np.zeros(len(places), np.float32)
        last = len(self._samples) - self._window
        begins = np.clip(np.rint(places + self._inset).astype(np.int64) + self._margin, 0, last)
        all_windows = np.lib.stride_tricks.sliding_window_view(self._samples, self._window)
        # Without blocks, an hour of audio would take gigabytes.
        for at in range(0, len(places), 4096):
            block = slice(at, at + 4096)
            windows = all_windows[begins[block]]
            energies[block] = np.einsum("ij,ij->i", windows, windows)
            parts = (windows @ self._tones) ** 2
            power = parts[:, : len(_ALL_TONES_HZ)] + parts[:, len(_ALL_TONES_HZ) :]
            shares[block] = power * (2 / self._window) / np.maximum(energies[block, None], 1e-9)
        return shares, energies
