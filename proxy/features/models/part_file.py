"""The received part of a file: its bytes in a `.part`, and the server's facts beside it. Only the same file
of the same server is resumed, so the facts are written before the first byte. No link is followed: root may
pull into a folder that the server's user can write."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

_MOST_INFO_BYTES = 64 * 1024


class FileInfo(msgspec.Struct, frozen=True):
    """The server's facts about a file. Only one with an `etag` can be resumed."""

    url: str = ""
    etag: str = ""
    size: int = 0
    digest: str = ""


@contextmanager
def opened_anew(path: Path) -> Iterator[BinaryIO]:
    """Replace a file by a new one. At the end it is on disk."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        yield file
        file.flush()
        os.fsync(descriptor)


class PartFile:
    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.part"
        self._info_file = folder / f"{name}.told"

    @property
    def size(self) -> int:
        try:
            return self.path.lstat().st_size
        except FileNotFoundError:
            return 0

    def known(self) -> FileInfo:
        try:
            # Else the open of a pipe would wait for a writer.
            descriptor = os.open(self._info_file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                return msgspec.json.decode(file.read(_MOST_INFO_BYTES), type=FileInfo)
        except (OSError, msgspec.MsgspecError):
            return FileInfo()

    @contextmanager
    def open(self, begin: int, facts: FileInfo) -> Iterator[BinaryIO]:
        """Open the part for writing from a place, and cut the rest. At the end it is on disk."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.ftruncate(descriptor, begin)
            with opened_anew(self._info_file) as beside:
                beside.write(msgspec.json.encode(facts))
            file.seek(begin)
            yield file
            file.flush()
            os.fsync(descriptor)

    def forget(self) -> None:
        for path in (self.path, self._info_file):
            path.unlink(missing_ok=True)
