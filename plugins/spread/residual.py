"""The residual of a recording: how much louder than expected the first half of each tile is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from plugins.spread.grid import FRAMES_A_SECOND, FRAMES_A_TILE, Floats, Grid, Memo

PHASES: Final = 4
"""The beginnings of a frame that are tried, one each 2.5 ms."""

_FLOOR: Final = 3e-6
"""Energies below this share of a loud frame's, 55 dB, are ignored."""

_ROUNDING: Final = 0.04
"""The energy of rounding to 16 bits, for each bin and sample of a frame."""

_NOISE: Final = 4.0
"""The least useful energy, over that of a band's quietest frames, which have the recording's noise."""

_BANDS_NEAR = 15
"""The neighbouring bands that give a tile's expected energy, beside the neighbouring frames."""

_TINY: Final = np.float32(1e-6)

_MOST: Final = 1.5
"""The limit of a surprise. Where a sound begins it is great and means little."""

BLOCK_TILES: Final = 64
"""Recordings are searched in blocks of 1.28 seconds, because they may be cut or joined anywhere."""


def alignments(
    samples: Floats, grid: Grid, phases: int = PHASES, memo: Memo | None = None
) -> Iterator[tuple[float, Floats]]:
    """Yield every place in seconds where a tile may begin, and the tiles from there: (block, tile, band).

    `memo` is the cache of `all_energies`.
    """
    for phase in range(phases):
        skipped = phase * grid.rate_hz / FRAMES_A_SECOND / phases
        energies = grid.all_energies(samples, skipped, memo)
        if len(energies) < FRAMES_A_TILE:
            continue
        surprise = _surprise(energies, grid)
        for frame in range(FRAMES_A_TILE):
            pairs = surprise[frame : frame + (len(surprise) - frame) // 2 * 2]
            tiles = pairs[::2] - pairs[1::2]
            count = -(-len(tiles) // BLOCK_TILES)
            whole = np.zeros((count * BLOCK_TILES, grid.bands), np.float32)
            whole[: len(tiles)] = tiles
            begin_s = skipped / grid.rate_hz + frame / FRAMES_A_SECOND
            yield begin_s, whole.reshape(count, BLOCK_TILES, grid.bands)


def _surprise(energies: Floats, grid: Grid) -> Floats:
    """Return the weighed and bounded difference of each level from the levels of its neighbours."""
    frames = energies.sum(axis=1)
    audible = energies[frames > 0] if frames.any() else energies
    least = np.percentile(frames, 95) * _FLOOR + _ROUNDING * grid.length * np.diff(grid.edges).mean()
    floor = np.maximum(least, _NOISE * np.percentile(audible, 10, axis=0)).astype(np.float32)
    weight = energies / (energies + floor)
    level = np.log(energies + np.float32(0.3) * floor)
    level -= _near_frames(level * weight) / (_near_frames(weight) + _TINY)
    level -= _near_bands(level * weight) / (_near_bands(weight) + _TINY)
    power = float(np.vdot(weight, level**2)) / (float(weight.sum()) or 1.0)
    scaled = level / np.float32(np.sqrt(power) or 1.0)
    return np.asarray(np.clip(scaled, -_MOST, _MOST) * weight, np.float32)


def _near_frames(values: Floats) -> Floats:
    sums = values.copy()
    sums[1:] += values[:-1]
    sums[:-1] += values[1:]
    return sums


def _near_bands(values: Floats) -> Floats:
    """Return the sum of each band and its neighbours. There are more bands than neighbours."""
    beside = _BANDS_NEAR // 2
    sums = np.cumsum(values, axis=1)
    near = np.empty_like(values)
    near[:, : beside + 1] = sums[:, beside:_BANDS_NEAR]
    near[:, beside + 1 : -beside] = sums[:, _BANDS_NEAR:] - sums[:, :-_BANDS_NEAR]
    near[:, -beside:] = sums[:, -1:] - sums[:, -_BANDS_NEAR : -beside - 1]
    return near
