"""Find a key's mark in a recording, and read its payload.

The score is the sum of the tiles, each with its sign by the key, over the root of the sum of their squares.
Without the mark, the signs are random for any recording. So by Hoeffding's bound a score of `s` comes by
chance at most once in `exp(s * s / 2)` trials. Every place, part, speed and key is a trial.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plugins.spread.coding import CODED_BITS, Chips, chips_of, decode, is_pilot
from plugins.spread.grid import FRAMES_A_SECOND, FRAMES_A_TILE, PERIOD_TILES, Floats, Grid, Memo
from plugins.spread.residual import BLOCK_TILES, PHASES, alignments
from speech_engine.mark import FALSE_RATE, require_rate

BLOCK_S: Final = BLOCK_TILES * FRAMES_A_TILE / FRAMES_A_SECOND
_BLOCKS_A_PERIOD: Final = PERIOD_TILES // BLOCK_TILES
_PARTS: Final = (3, 12, 48)
"""The lengths of parts, in blocks, that are searched beside the whole. There may be several marks."""

_LEAST_S: Final = 0.5
_SCANNED_S: Final = 8
"""The length of a recording's beginning that is searched at other speeds: from 0.9 to 1.1, without 1."""
_SPEEDS: Final = tuple(round(0.9 + step / 200, 3) for step in range(41) if step != 20)


class Match(NamedTuple):
    """The best place of a key's mark. `key` is the key's index. `payload` is None if it cannot be read."""

    score: float
    trials: int
    key: int
    payload: int | None
    begin_s: float
    seconds: float

    @property
    def threshold(self) -> float:
        return float(np.sqrt(2 * np.log(self.trials / (FALSE_RATE / 2))))

    @property
    def is_found(self) -> bool:
        return self.score >= self.threshold


def find(pcm: bytes, sample_rate_hz: int, secrets: Sequence[bytes], is_patient: bool = True) -> Match:
    """Return the best match. If it is not found and the search `is_patient`, other speeds are searched too.

    Half of the false rate is for the true speed, and half for the others. Raise ValueError for a sample rate
    that no mark supports.
    """
    require_rate(sample_rate_hz)
    samples = np.frombuffer(pcm, "<i2", count=len(pcm) // 2).astype(np.float32)
    chips = [chips_of(secret) for secret in secrets]
    if len(samples) < _LEAST_S * sample_rate_hz or not chips:
        return Match(0.0, max(1, len(chips)), 0, None, 0.0, len(samples) / sample_rate_hz)
    match = _best(samples, Grid(sample_rate_hz), chips)
    if match.is_found or not is_patient:
        return match
    part = samples[: _SCANNED_S * sample_rate_hz]
    others = [_best(part, grid, chips, PHASES // 2, memo) for grid, memo in _other_speeds(sample_rate_hz)]
    best = max(others, key=lambda each: each.score)
    best = best._replace(trials=sum(each.trials for each in others))
    return best if best.is_found else match


def _other_speeds(rate_hz: int) -> Iterator[tuple[Grid, Memo]]:
    """Yield grids for other speeds, with and without a change of pitch. Both share their spectra."""
    for speed in _SPEEDS:
        memo: Memo = {}
        yield Grid(rate_hz / speed, is_quick=True), memo
        yield Grid(rate_hz / speed, pitch=1 / speed, is_quick=True), memo


class _Place(NamedTuple):
    """The place of the best score: the tiles of its alignment, a part of them, and the period's shift."""

    tiles: Floats
    first: int
    last: int
    shift: int


def _best(
    samples: Floats, grid: Grid, chips: Sequence[Chips], phases: int = PHASES, memo: Memo | None = None
) -> Match:
    pilots = is_pilot(grid.bands)
    pilot_spectra = np.fft.rfft(np.stack([each.signs[:, : grid.bands][:, pilots] for each in chips]), axis=1)
    best, place, parts = Match(-1.0, 1, 0, None, 0.0, 0.0), None, 1
    for begin_s, tiles in alignments(samples, grid, phases, memo):
        seen = tiles[:, :, pilots]
        spectra = _spectra(seen)
        ranges = list(_parts(len(tiles)))
        parts = max(parts, len(ranges))
        for first, last in ranges:
            folded = fold(seen, first, last)
            scale = np.sqrt(np.vdot(folded, folded)) or 1.0
            sums = (spectra[first:last].sum(axis=0) * pilot_spectra).sum(axis=2)
            scores = np.fft.irfft(sums, PERIOD_TILES, axis=1) / scale
            top = int(scores.argmax())
            if scores.flat[top] > best.score:
                key, shift = divmod(top, PERIOD_TILES)
                place = _Place(tiles, first, last, shift)
                at_s = begin_s + first * BLOCK_S
                seconds = min((last - first) * BLOCK_S, len(samples) / grid.rate_hz - at_s)
                best = Match(float(scores.flat[top]), 1, key, None, at_s, seconds)
    best = best._replace(trials=phases * FRAMES_A_TILE * PERIOD_TILES * parts * len(chips))
    if place is None or not best.is_found:
        return best
    return best._replace(payload=_payload(place, chips[best.key], ~pilots))


def _spectra(blocks: Floats) -> NDArray[np.complex64]:
    """Return the spectrum of each block at its place in the period. The spectra of a part add up."""
    spectra = np.fft.rfft(blocks, PERIOD_TILES, axis=1).conj()
    places = np.arange(len(blocks)) % _BLOCKS_A_PERIOD
    turns = np.exp(2j * np.pi / _BLOCKS_A_PERIOD * np.outer(places, np.arange(spectra.shape[1])))
    return np.asarray(spectra * turns[:, :, None], np.complex64)


def fold(blocks: Floats, first: int, last: int) -> Floats:
    folded = np.zeros((_BLOCKS_A_PERIOD, *blocks.shape[1:]), np.float32)
    for place in range(min(_BLOCKS_A_PERIOD, last - first)):
        at = first + place
        folded[at % _BLOCKS_A_PERIOD] = blocks[at:last:_BLOCKS_A_PERIOD].sum(axis=0)
    return folded.reshape(PERIOD_TILES, -1)


def _parts(blocks: int) -> Iterator[tuple[int, int]]:
    """Yield the whole, and parts of some lengths. Each part begins in the middle of another."""
    yield 0, blocks
    for length in _PARTS:
        for first in range(0, blocks - length + 1, max(1, length // 2)) if length < blocks else ():
            yield first, first + length


def _payload(place: _Place, chips: Chips, carries: NDArray[np.bool_]) -> int | None:
    """Return the payload of the part or of the whole, or None if both checks fail."""
    bands = len(carries)
    signs = chips.signs[:, :bands][:, carries]
    numbers = chips.bit_numbers[:, :bands][:, carries].reshape(-1)
    for first, last in ((place.first, place.last), (0, len(place.tiles))):
        folded = np.roll(fold(place.tiles[:, :, carries], first, last), place.shift, axis=0) * signs
        payload = decode(np.bincount(numbers, folded.reshape(-1), CODED_BITS).astype(np.float32))
        if payload is not None:
            return payload
    return None
