"""Read the features of a voice's recordings from an index of faiss (.index), and write them as one.

Only the kinds that RVC-WebUI makes are read: flat ones, and IVF with flat lists. The file is not trusted, so
each number is checked before use. faiss itself has no such checks.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, BinaryIO, Final

import numpy as np

from plugins.rvc.voice_rules import MOST_VECTORS
from speech_engine.model_files import UnusableModel

_FLAT: Final = (b"IxF2", b"IxFI")
_IVF_FLAT: Final = b"IwFl"
_L2: Final = 1
_METRICS: Final = (0, _L2)
_MOST_LISTS: Final = 1 << 20
_DUMMY: Final = 1 << 20
_FLOAT_BYTES: Final = 4
_NUMBERS_AT_ONCE: Final = 1 << 20
"""A process that reads untrusted files has little memory, and an index may need most of it."""


def read_vectors(file: BinaryIO, size: int, width: int) -> tuple[int, memoryview]:
    """Return the number of features of an index, and these in the order in which they were added.

    Raise UnusableModel.
    """
    reader = _Reader(file, size)
    kind = reader.take(4)
    count = reader.header(width)
    if kind in _FLAT:
        reader.expect_floats(count * width)
        found = reader.halves(count, width)
    elif kind == _IVF_FLAT:
        found = _inverted(reader, count, width)
    else:
        shown = ascii(kind.decode("latin-1"))
        raise UnusableModel(
            f"it is an index of the kind {shown}; known are flat ones, and IVF with flat lists"
        )
    reader.finish()
    if not np.isfinite(found).all():
        raise UnusableModel("it has features that are no numbers, or are too large")
    return count, memoryview(found).cast("B")


def write_flat_index(halves: Iterable[bytes | memoryview], count: int, width: int, target: BinaryIO) -> None:
    """Write 16-bit features, in pieces of whole numbers, as a flat index, which any faiss reads."""
    target.write(_FLAT[0])
    target.write(struct.pack("<iqqq?i", width, count, _DUMMY, _DUMMY, True, _L2))
    target.write(struct.pack("<Q", count * width))
    for piece in halves:
        target.write(np.frombuffer(piece, "<f2").astype("<f4").tobytes())


class _Reader:
    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size
        file.seek(0)

    def take(self, count: int) -> bytes:
        if count > self._left:
            raise UnusableModel("it is cut off, or one of its numbers is wrong")
        self._left -= count
        data = self._file.read(count)
        if len(data) < count:
            raise UnusableModel("it is cut off")
        return data

    def number(self, form: str) -> int:
        return int(struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))[0])

    def count(self, most: int, what: str) -> int:
        found = self.number("Q")
        if found > most:
            raise UnusableModel(f"it has {found:,} {what}; {most:,} are allowed")
        return found

    def expect_floats(self, expected: int) -> None:
        if self.count(expected, "numbers") != expected:
            raise UnusableModel("it has not as many numbers as its features need")

    def skip(self, count: int) -> None:
        while count:
            count -= len(self.take(min(count, _NUMBERS_AT_ONCE)))

    def halves(self, count: int, width: int) -> Any:
        """Read rows of 32-bit floats, and return them as 16-bit floats. Too large numbers become infinite."""
        if count * width * _FLOAT_BYTES > self._left:
            raise UnusableModel("it is cut off, or one of its numbers is wrong")
        found = np.empty((count, width), "<f2")
        rows = max(1, _NUMBERS_AT_ONCE // width)
        for first in range(0, count, rows):
            part = found[first : first + rows]
            floats = np.frombuffer(self.take(part.size * _FLOAT_BYTES), "<f4").reshape(part.shape)
            with np.errstate(over="ignore", invalid="ignore"):
                part[:] = floats
        return found

    def header(self, width: int) -> int:
        """Read the header of an index, and return its number of features."""
        found = self.number("i")
        if found != width:
            raise UnusableModel(f"its features are {found} wide; this voice hears {width}")
        count = self.number("q")
        if not 0 < count <= MOST_VECTORS:
            raise UnusableModel(f"it has {count:,} features; 1 to {MOST_VECTORS:,} are allowed")
        self.take(16)  # two numbers of no meaning
        if self.number("B") != 1 or self.number("i") not in _METRICS:
            raise UnusableModel("it is not trained, or measures in a way that RVC does not")
        return count

    def finish(self) -> None:
        if self._left:
            raise UnusableModel("bytes follow its end")


def _inverted(reader: _Reader, count: int, width: int) -> Any:
    """Read the features of an IVF index, and return them in the order of their ids."""
    lists = reader.count(_MOST_LISTS, "lists")
    reader.number("Q")  # how many lists a search looks at
    _skip_quantizer(reader, lists, width)
    _skip_map(reader)
    if reader.number("Q") != width * _FLOAT_BYTES:
        raise UnusableModel("its features have another size than numbers of 32 bits")
    sizes = _list_sizes(reader, lists, width, count)
    found = np.empty((count, width), "<f2")
    seen = np.zeros(count, bool)
    for size in sizes:
        rows = reader.halves(size, width)
        ids = np.frombuffer(reader.take(size * 8), "<i8")
        if size and (ids.min() < 0 or ids.max() >= count):
            raise UnusableModel("it names a feature that it does not have")
        found[ids], seen[ids] = rows, True
    if not seen.all():
        raise UnusableModel("it names a feature twice")
    return found


def _skip_quantizer(reader: _Reader, lists: int, width: int) -> None:
    """Skip the centres of the lists, which only a search needs."""
    if reader.take(4) not in _FLAT or reader.header(width) != lists:
        raise UnusableModel("the middles of its lists are no flat index of them")
    reader.expect_floats(lists * width)
    reader.skip(lists * width * _FLOAT_BYTES)


def _skip_map(reader: _Reader) -> None:
    kind = reader.number("B")
    entries = reader.count(MOST_VECTORS, "entries of its map")
    if kind not in (0, 1) or (entries and not kind):
        raise UnusableModel("it has a map of features that voxgate does not know")
    reader.take(8 * entries)


def _list_sizes(reader: _Reader, lists: int, width: int, count: int) -> list[int]:
    if reader.take(4) != b"ilar" or reader.number("Q") != lists or reader.number("Q") != width * _FLOAT_BYTES:
        raise UnusableModel("its lists are kept in a way that voxgate does not know")
    form, numbers = reader.take(4), reader.count(2 * lists, "sizes of lists")
    read = np.frombuffer(reader.take(8 * numbers), "<u8")
    sizes = np.zeros(lists, "<u8")
    if form == b"full" and numbers == lists:
        sizes = read
    elif form == b"sprs" and not numbers % 2:
        places = read[::2]
        if len(places) and (int(places.max()) >= lists or len(np.unique(places)) != len(places)):
            raise UnusableModel("it names a list that it does not have")
        sizes[places.astype(np.int64)] = read[1::2]
    else:
        raise UnusableModel("the sizes of its lists are kept in a way that voxgate does not know")
    found = [int(each) for each in sizes]
    if sum(found) != count:
        raise UnusableModel("its lists have not as many features as it says")
    return found
