"""The payload with a 16-bit checksum, in a convolutional code of rate 1/3 that corrects errors.

The code's memory is 8 bits. Its end is joined to its beginning, so that no bits are spent on an end.
"""

from __future__ import annotations

from binascii import crc_hqx
from functools import cache, lru_cache
from hashlib import shake_256
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from plugins.spread.grid import BANDS, FRAMES_A_TILE, PERIOD_TILES, Floats
from speech_engine.mark import PAYLOAD_BITS
from speech_engine.redacted import Redacted

_BITS: Final = PAYLOAD_BITS + 16
_POLYNOMIALS: Final = (0o557, 0o663, 0o711)
_MEMORY: Final = 8
_STATES: Final = 1 << _MEMORY
CODED_BITS: Final = _BITS * len(_POLYNOMIALS)


def encode(payload: int) -> Floats:
    """Return the coded bits of a payload, each -1 or 1. Raise ValueError if it has more than 32 bits."""
    if not 0 <= payload < 1 << PAYLOAD_BITS:
        raise ValueError(f"a payload is a number from 0 to 2**{PAYLOAD_BITS} - 1")
    whole = payload << 16 | _check(payload)
    bits = [whole >> shift & 1 for shift in reversed(range(_BITS))]
    state = sum(bit << back for back, bit in enumerate(reversed(bits[-_MEMORY:])))
    outputs = _outputs()
    coded = []
    for bit in bits:
        coded.append(outputs[bit, state])
        state = (state << 1 | bit) % _STATES
    return np.concatenate(coded)


def decode(soft: Floats) -> int | None:
    """Return the payload of soft bits, whose size is their certainty, or None if the checksum fails."""
    steps = soft.reshape(_BITS, len(_POLYNOMIALS))
    # The first state is unknown, so the bits are read three times, and the middle reading counts.
    bits = _likeliest(np.concatenate([steps, steps, steps]))[_BITS : 2 * _BITS]
    whole = int("".join(map(str, bits)), 2)
    payload, check = whole >> 16, whole & 0xFFFF
    return payload if check == _check(payload) else None


def _likeliest(steps: Floats) -> list[int]:
    outputs = _outputs()
    after = np.arange(_STATES)
    bit = after & 1
    before = np.stack([after >> 1, after >> 1 | _STATES >> 1])
    scores = np.zeros(_STATES, np.float32)
    came_from = np.zeros((len(steps), _STATES), np.intp)
    for number, step in enumerate(steps):
        gains = scores[before] + outputs[bit, before] @ step
        better = gains.argmax(axis=0)
        came_from[number] = before[better, after]
        scores = gains[better, after]
    state = int(scores.argmax())
    bits = []
    for row in came_from[::-1]:
        bits.append(state & 1)
        state = int(row[state])
    return bits[::-1]


@cache
def _outputs() -> Floats:
    table = np.zeros((2, _STATES, len(_POLYNOMIALS)), np.float32)
    for bit in (0, 1):
        for state in range(_STATES):
            seen = state << 1 | bit
            table[bit, state] = [1 - 2 * ((seen & polynomial).bit_count() & 1) for polynomial in _POLYNOMIALS]
    return table


def _check(payload: int) -> int:
    return crc_hqx(payload.to_bytes(PAYLOAD_BITS // 8, "big"), 0xFFFF)


PILOT_EVERY: Final = 3
_TILES: Final = PERIOD_TILES * BANDS
_WORD: Final = 8


class Chips(Redacted, msgspec.Struct, frozen=True):
    """The signs of a period's tiles, and the number of the coded bit that each tile carries."""

    signs: Floats
    bit_numbers: NDArray[np.intp]


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
