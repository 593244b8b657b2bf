"""The signs that a key gives to the tiles of a period.

Each third band has pilot tiles, which are the same in all marks of a key: they say where the mark is. The
others carry the payload's coded bits. The signs come from SHAKE-256, so nobody without the key can tell them
from chance: this is what the detector's false rate rests on.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import shake_256
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from plugins.spread.coding import CODED_BITS, encode
from plugins.spread.grid import BANDS, FRAMES_A_TILE, PERIOD_TILES, Floats

PILOT_EVERY: Final = 3
_TILES: Final = PERIOD_TILES * BANDS
_WORD: Final = 8


class Chips(msgspec.Struct, frozen=True):
    """The signs of the tiles of a period, and the number of the coded bit that each one carries."""

    signs: Floats
    bit_numbers: NDArray[np.intp]

    def __repr__(self) -> str:
        return "<Chips>"


def is_pilot(bands: int) -> NDArray[np.bool_]:
    return np.asarray(np.arange(bands) % PILOT_EVERY == 0)


@lru_cache(maxsize=64)
def chips_of(secret: bytes) -> Chips:
    """Return the chips of a key."""
    stream = shake_256(b"voxgate spread mark 2\0" + secret).digest(_TILES * (1 + _WORD))
    signs = np.frombuffer(stream[:_TILES], np.uint8) % 2 * np.float32(2) - np.float32(1)
    order = np.frombuffer(stream[_TILES:], "<u8").argsort(kind="stable")
    numbers = np.empty(_TILES, np.intp)
    numbers[order] = np.arange(_TILES) % CODED_BITS
    shape = (PERIOD_TILES, BANDS)
    return Chips(signs.reshape(shape), numbers.reshape(shape))


@lru_cache(maxsize=4)
def pattern_of(secret: bytes, payload: int) -> Floats:
    """Return the sign of each frame of a period in each band. Raise ValueError as `encode` does."""
    chips = chips_of(secret)
    carried = np.where(is_pilot(BANDS), np.float32(1), encode(payload)[chips.bit_numbers])
    pattern = np.repeat(chips.signs * carried, FRAMES_A_TILE, axis=0)
    pattern[1::FRAMES_A_TILE] *= -1
    return pattern
