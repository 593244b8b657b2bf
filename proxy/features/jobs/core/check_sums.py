"""The CRC-32 of bytes that follow each other, from those of the parts: no byte is read again."""

from __future__ import annotations

from collections.abc import Iterable

_POLYNOMIAL = 0xEDB88320
_BITS = 32
_Matrix = tuple[int, ...]


def _times(matrix: _Matrix, vector: int) -> int:
    product = 0
    for row in matrix:
        if not vector:
            break
        if vector & 1:
            product ^= row
        vector >>= 1
    return product


def _square(matrix: _Matrix) -> _Matrix:
    return tuple(_times(matrix, row) for row in matrix)


_BY_A_BIT: _Matrix = (_POLYNOMIAL, *(1 << bit for bit in range(_BITS - 1)))
# What a zero byte does to a check sum, then 2 of them, 4, 8, … : each is the square of the one before.
_ZEROS = [_square(_square(_square(_BY_A_BIT)))]
while len(_ZEROS) < 64:
    _ZEROS.append(_square(_ZEROS[-1]))


def joined_crc32(parts: Iterable[tuple[int, int]]) -> int:
    """Return the check sum of parts, each of which has a check sum and so many bytes."""
    whole = 0
    for crc32, size in parts:
        for power in range(size.bit_length()):
            if size >> power & 1:
                whole = _times(_ZEROS[power], whole)
        whole ^= crc32
    return whole
