"""Zip files that are made while they are sent, and whose size is known before the first byte."""

from __future__ import annotations

from collections.abc import Iterable
from zipfile import ZipFile, ZipInfo

ZIP_DATE = (1980, 1, 1, 0, 0, 0)
"""The date of every file in a zip, so that the same content gives the same bytes. It is the earliest that a
zip can have."""


class ZipOutput:
    """The output of a `ZipFile` until it is read. It has no `seek`, so `ZipFile` never goes back to write a
    header."""

    def __init__(self) -> None:
        self.size = 0
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        self.size += len(data)
        return len(data)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        """`ZipFile` calls it. Nothing is buffered."""

    def close(self) -> None:
        """`ZipFile` calls it. Nothing is open."""

    def take_bytes(self) -> bytes:
        """Return the bytes that were written since the last call."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def stored_size(entries: Iterable[ZipInfo]) -> int:
    """Return the size of a zip file whose entries are stored as they are, by their `file_size`.

    A zip file is written without the contents. After each entry, its writer is told that the contents were
    there: so its directory, which has the place of each entry, is as long as that of the real file.
    """
    output = ZipOutput()
    with ZipFile(output, "w") as archive:
        for entry in entries:
            size = entry.file_size
            archive.open(entry, "w").close()
            output.size += size
            entry.file_size = entry.compress_size = size
            archive.start_dir = output.size
    return output.size
