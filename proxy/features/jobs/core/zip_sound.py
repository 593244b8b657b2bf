"""A zip file of sounds whose sizes and check sums are known: its size is known before its first byte, and any
range of it can be told from nothing but its names. Nothing is compressed: sound is already."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_64 = struct.Struct("<4sIQI")

_MOST_16 = 0xFFFF
_MOST_32 = 0xFFFFFFFF
"""A value of a zip file that is as large stands elsewhere, in 64 bits."""
_EXTRA_64 = 1
_PLAIN, _LARGE = 20, 45
"""The versions of the format that a reader must know."""
_MADE_ON_UNIX = 3 << 8
_IS_UTF_8 = 0x800
_STORED = 0
# Every file is as old as the format: the same sounds are the same bytes.
_TIME, _DATE = 0, 1 << 5 | 1
_READABLE = 0o100644 << 16


class ZipEntry(NamedTuple):
    """A file to be: `crc32` is the check sum of its `bytes` bytes. No two have the same name."""

    name: str
    bytes: int
    crc32: int


class EntryPart(NamedTuple):
    """The bytes of the entry with this number, from its byte `start` up to `end`."""

    number: int
    start: int
    end: int


class ZipLayout:
    """Where everything of a zip file is. With very many entries it takes some milliseconds to make."""

    def __init__(self, entries: Sequence[ZipEntry]) -> None:
        self._entries = entries
        sizes = (len(_local(entry)) + entry.bytes for entry in entries)
        self._offsets = list(accumulate(sizes, initial=0))
        self._directory = self._made_directory()
        self.size = self._offsets[-1] + len(self._directory)

    def parts(self, start: int, end: int) -> Iterator[bytes | EntryPart]:
        """Yield what is from byte `start` up to `end`: bytes of the zip file's own, and of its entries."""
        first_number = max(0, bisect_right(self._offsets, start) - 1)
        for number in range(first_number, len(self._entries)):
            entry, (offset, next_) = self._entries[number], self._offsets[number : number + 2]
            if offset >= end:
                return
            data = next_ - entry.bytes
            if start < data and (own := _local(entry)[max(0, start - offset) : end - offset]):
                yield own
            first, last = max(0, start - data), min(entry.bytes, end - data)
            if first < last:
                yield EntryPart(number, first, last)
        offset = self._offsets[-1]
        if own := self._directory[max(0, start - offset) : max(0, end - offset)]:
            yield own

    def _made_directory(self) -> bytes:
        start, count = self._offsets[-1], len(self._entries)
        entries = b"".join(
            _central(entry, offset) for entry, offset in zip(self._entries, self._offsets, strict=False)
        )
        end_64 = b""
        if count >= _MOST_16 or start >= _MOST_32 or len(entries) >= _MOST_32:
            place = start + len(entries)
            end_64 = _END_64.pack(
                b"PK\6\6",
                _END_64.size - 12,
                _MADE_ON_UNIX | _LARGE,
                _LARGE,
                0,
                0,
                count,
                count,
                len(entries),
                start,
            )
            end_64 += _LOCATOR_64.pack(b"PK\6\7", 0, place, 1)
        shown = min(count, _MOST_16)
        sizes = min(len(entries), _MOST_32), min(start, _MOST_32)
        return entries + end_64 + _END.pack(b"PK\5\6", 0, 0, shown, shown, *sizes, 0)


def _local(entry: ZipEntry) -> bytes:
    name = entry.name.encode()
    # Both sizes, as the format wants here.
    extra = _extra_64(entry.bytes, entry.bytes) if entry.bytes >= _MOST_32 else b""
    size = min(entry.bytes, _MOST_32)
    head = _LOCAL.pack(
        b"PK\3\4",
        _LARGE if extra else _PLAIN,
        _IS_UTF_8,
        _STORED,
        _TIME,
        _DATE,
        entry.crc32,
        size,
        size,
        len(name),
        len(extra),
    )
    return head + name + extra


def _central(entry: ZipEntry, offset: int) -> bytes:
    name = entry.name.encode()
    large = [each for each in (entry.bytes, entry.bytes, offset) if each >= _MOST_32]
    extra = _extra_64(*large) if large else b""
    size = min(entry.bytes, _MOST_32)
    needs = _LARGE if extra else _PLAIN
    head = _CENTRAL.pack(
        b"PK\1\2",
        _MADE_ON_UNIX | needs,
        needs,
        _IS_UTF_8,
        _STORED,
        _TIME,
        _DATE,
        entry.crc32,
        size,
        size,
        len(name),
        len(extra),
        0,
        0,
        0,
        _READABLE,
        min(offset, _MOST_32),
    )
    return head + name + extra


def _extra_64(*values: int) -> bytes:
    return struct.pack(f"<2H{len(values)}Q", _EXTRA_64, 8 * len(values), *values)


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
