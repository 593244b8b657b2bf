"""How deep the mark may be in each tile: as deep as the sound hides it.

A simple model of the ear: each band hides what is near it, more above its own pitch than below. The mark's
energy stays a fixed part of what hides it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from plugins.spread.grid import BIN_HZ, Floats, Grid

_DEPTH: Final = np.float32(0.1)
"""The mark's amplitude over that of what hides it: 20 dB below."""

_MOST: Final = np.float32(0.3)
"""The most that a band may change, by amplitude, even where neighbours would hide more."""

_LIMIT: Final = np.float32(0.45)
"""The most at any strength: from a half on, a lowered tile would have no power left."""

_UPWARD_DB, _DOWNWARD_DB = 10.0, 25.0
"""How fast hiding fades, in dB per Bark, above and below the band that hides."""

_TINY: Final = np.float32(1e-9)


class Shaping:
    """The gains of one stream's bands. A strength of 2 doubles the mark's amplitude."""

    def __init__(self, grid: Grid, strength: float = 1.0) -> None:
        self._depth = _DEPTH * np.float32(strength)
        self._most = min(_MOST * np.float32(strength), _LIMIT)
        middles = (grid.edges[:-1] + grid.edges[1:]) * (BIN_HZ / 2)
        bark = 13 * np.arctan(0.00076 * middles) + 3.5 * np.arctan((middles / 7500) ** 2)
        above = bark[None, :] - bark[:, None]
        fall = np.where(above > 0, _UPWARD_DB * above, -_DOWNWARD_DB * above)
        self._spread: Floats = (10 ** (-fall / 10)).astype(np.float32)

    def changes(self, energies: Floats, signs: Floats) -> Floats:
        """Return by how much to change each band's amplitude: 0.1 adds a tenth.

        A raised tile gains the power that a lowered one loses, so the loudness stays. The last term gives
        back what is lost where such frames overlap.
        """
        hiding = energies @ self._spread
        depth = np.minimum(self._depth * np.sqrt(hiding / (energies + _TINY)), self._most)
        return np.asarray(np.sqrt(1 + 2 * depth * signs) - 1 + depth * depth / 4, np.float32)
