"""The received part of a file: its bytes in `NAME.part`, and the server's facts about it in `NAME.told`.

The facts are written before the first byte, because only the same file of the same server may be resumed. A
digest is either a SHA-256 or a blob id of git. No link is followed: root may pull into a folder that the
server's user can write."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

_MOST_INFO_BYTES = 64 * 1024
_PIECE = 4 * 1024 * 1024
_SHA256, _GIT_BLOB = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")

ReportBytes = Callable[[int, int], None]
"""Called with the finished bytes, and their total."""


class FileInfo(msgspec.Struct, frozen=True):
    """The server's facts about a file. Only a file with an `etag` can be resumed. An unknown size is 0."""

    url: str = ""
    etag: str = ""
    size: int = 0
    digest: str = ""


@contextmanager
def replace_file(path: Path) -> Iterator[BinaryIO]:
    """Delete a file, and open a new one in its place for writing. After the block, the file is on disk."""
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

    def read_info(self) -> FileInfo:
        try:
            # O_NONBLOCK, because the open of a pipe would wait for a writer.
            descriptor = os.open(self._info_file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                return msgspec.json.decode(file.read(_MOST_INFO_BYTES), type=FileInfo)
        except (OSError, msgspec.MsgspecError):
            return FileInfo()

    @contextmanager
    def open_at(self, begin: int, facts: FileInfo) -> Iterator[BinaryIO]:
        """Open the part for writing from the byte `begin`, and cut off the rest. After the block, it is on
        disk."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.ftruncate(descriptor, begin)
            with replace_file(self._info_file) as info_file:
                info_file.write(msgspec.json.encode(facts))
            file.seek(begin)
            yield file
            file.flush()
            os.fsync(descriptor)

    def delete(self) -> None:
        for path in (self.path, self._info_file):
            path.unlink(missing_ok=True)


def is_sha256(text: str) -> bool:
    return bool(_SHA256.fullmatch(text))


def is_digest(text: str) -> bool:
    return bool(_SHA256.fullmatch(text) or _GIT_BLOB.fullmatch(text))


def has_digest(path: Path, digests: tuple[str, ...], report: ReportBytes) -> bool:
    """Tell whether a file has one of these digests. Raise OSError."""
    size = path.stat().st_size
    sha256 = hashlib.sha256()
    # git's id of the content. SHA-1 is enough, as the address names a fixed revision.
    blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    needs_blob = any(_GIT_BLOB.fullmatch(each) for each in digests)
    done = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            sha256.update(piece)
            if needs_blob:
                blob.update(piece)
            done += len(piece)
            report(done, size)
    return sha256.hexdigest() in digests or (needs_blob and blob.hexdigest() in digests)
