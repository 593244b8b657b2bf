"""Tar files of plain files alone: written so that any tar reads them, and read as if a stranger wrote them.

`tarfile` reads links, devices, sparse files and headers of any size. Here, a member that is no plain file is
refused by its header. Nothing is compressed, so the output is never larger than the input.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from proxy.storage.store import StorageFailed

_BLOCK_BYTES = 512
_PIECE_BYTES = 1024 * 1024
_MOST_OCTAL = 8**11
"""Above this, a size is written as GNU's tar does."""


class ArchivedFile(NamedTuple):
    """One file of an archive. Its bytes must be read before the next member, or they are skipped."""

    name: str
    size: int
    pieces: Iterator[bytes]

    def read(self, most_bytes: int) -> bytes:
        """Return its bytes. Raise StorageFailed if there are more than `most_bytes`."""
        if self.size > most_bytes:
            raise StorageFailed(f"{self.name} has {self.size} bytes, and at most {most_bytes} are right")
        return b"".join(self.pieces)


def first_bytes(name: str) -> bytes:
    """Return the first bytes of an archive whose first member has this name."""
    return name.encode().ljust(100, b"\0")


def add_file(archive: BinaryIO, name: str, source: BinaryIO, size: int) -> None:
    header = tarfile.TarInfo(name)
    header.size, header.mode = size, 0o600
    is_usual = size < _MOST_OCTAL
    archive.write(header.tobuf(tarfile.USTAR_FORMAT if is_usual else tarfile.GNU_FORMAT))
    for piece in _read_pieces(source.read, size, name):
        archive.write(piece)
    archive.write(bytes(-size % _BLOCK_BYTES))


def write_end(archive: BinaryIO) -> None:
    archive.write(bytes(2 * _BLOCK_BYTES))


def read_members(archive: BinaryIO) -> Iterator[ArchivedFile]:
    """Yield the files of an archive in order. Raises StorageFailed, also for a name that is there twice."""
    seen: set[str] = set()
    while (header := _read_header(archive)) is not None:
        if header.name in seen:
            raise StorageFailed(f"{_printable(header.name)} is there twice")
        seen.add(header.name)
        pieces = _read_pieces(archive.read, header.size, header.name)
        yield ArchivedFile(header.name, header.size, pieces)
        for _ in pieces:
            pass  # what the caller has not read is skipped
        archive.read(-header.size % _BLOCK_BYTES)


def copy_member(member: ArchivedFile, target: Path, opener: Callable[[str, int], int]) -> None:
    """Write a member to a new file, and wait until it is on the disk. Raises OSError and StorageFailed."""
    with open(target, "xb", opener=opener) as file:
        for piece in member.pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())


def _read_header(archive: BinaryIO) -> tarfile.TarInfo | None:
    block = archive.read(_BLOCK_BYTES)
    if block == bytes(_BLOCK_BYTES):
        return None
    if len(block) < _BLOCK_BYTES:
        raise StorageFailed("it is cut short")
    try:
        header = tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except (tarfile.HeaderError, ValueError):
        raise StorageFailed("it is no tar file, or damaged") from None
    if header.type != tarfile.REGTYPE or header.size < 0:
        raise StorageFailed(f"{_printable(header.name)} is no plain file, and a backup has nothing else")
    return header


def _read_pieces(read: Callable[[int], bytes], size: int, name: str) -> Iterator[bytes]:
    bytes_left = size
    while bytes_left:
        piece = read(min(bytes_left, _PIECE_BYTES))
        if not piece:
            raise StorageFailed(f"{_printable(name)} is cut short")
        bytes_left -= len(piece)
        yield piece


def _printable(name: str) -> str:
    return ascii(name)[:100]
