"""How high the score of a mark goes by chance: many keys that marked nothing, tried on marked clips."""

from __future__ import annotations

from math import erfc, sqrt

import numpy as np
from numpy.typing import NDArray

from plugins.spread.coding import chips_of, is_pilot
from plugins.spread.detection import fold
from plugins.spread.grid import BANDS, FRAMES_A_TILE, PERIOD_TILES, Grid
from plugins.spread.residual import PHASES, alignments
from speech_engine.mark import FALSE_RATE
from tests.plugins.spread.clips import RATE_HZ, Clip

_EDGES = np.arange(0, 12, 0.05)


class Chance:
    """The scores of all trials, counted by height, and the best one of each clip and key."""

    def __init__(self, keys: int) -> None:
        signs = np.stack([chips_of(f"wrong key {number}".encode()).signs for number in range(keys)])
        self._wanted = np.fft.rfft(signs[:, :, is_pilot(BANDS)], axis=1)
        self._counts: NDArray[np.int64] = np.zeros(len(_EDGES) - 1, np.int64)
        self._best: list[NDArray[np.float64]] = []

    def add(self, clip: Clip) -> None:
        grid = Grid(RATE_HZ)
        best = np.zeros(len(self._wanted))
        for _, tiles in alignments(clip.astype(np.float32), grid):
            folded = fold(tiles[:, :, is_pilot(grid.bands)], 0, len(tiles))
            sums = (np.fft.rfft(folded, axis=0).conj() * self._wanted).sum(axis=2)
            scores = np.fft.irfft(sums, PERIOD_TILES, axis=1) / np.linalg.norm(folded)
            self._counts += np.histogram(scores, _EDGES)[0]
            best = np.maximum(best, scores.max(axis=1))
        self._best.append(best)

    def summary(self) -> str:
        best = np.concatenate(self._best)
        trials = PHASES * FRAMES_A_TILE * PERIOD_TILES
        threshold = float(np.sqrt(2 * np.log(trials / (FALSE_RATE / 2))))
        total = len(best) * trials
        above = np.cumsum(self._counts[::-1])[::-1] / total
        lines = [
            f"{len(best)} clips and keys, {total} trials; the highest score is {best.max():.2f}, "
            f"the median of a clip and key {np.median(best):.2f}, the threshold for one key {threshold:.2f}"
        ]
        for height in (3.0, 3.5, 4.0, 4.5, 5.0):
            seen = above[round(height / 0.05)]
            lines.append(f"  above {height}: {seen:.2e}, a normal curve {_normal(height):.2e}")
        used = (_EDGES[:-1] >= 3) & (above * total >= 20)
        slope, offset = np.polyfit(_EDGES[:-1][used] ** 2 / 2, np.log(above[used]), 1)
        rate = trials * float(np.exp(offset + slope * threshold**2 / 2))
        lines.append(
            f"  the tail's fit exp({offset:.2f} {slope:+.3f} s²/2) gives a false rate of {rate:.1e} at the "
            f"threshold for a clip and key; proven is {FALSE_RATE / 2:.1e}"
        )
        return "\n".join(lines)


def _normal(height: float) -> float:
    return 0.5 * erfc(height / sqrt(2))
