"""What the file of a kept answer begins with: who made it, for which body, and its headers.

Waits for the disk, so it is called in threads; raises OSError.
"""

from __future__ import annotations

from io import FileIO
from pathlib import Path
from typing import NamedTuple

import msgspec

from proxy.kept import kept_files

_PREFIX_BYTES = 4
_MOST_HEAD_BYTES = 64 * 1024


class Head(msgspec.Struct, frozen=True):
    """What a file begins with. `request` is the one that made the answer, `digest` that of its body."""

    request: str
    digest: bytes
    headers: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        return f"<Head of {self.request}>"

    def encoded(self) -> bytes:
        head = msgspec.msgpack.encode(self)
        return len(head).to_bytes(_PREFIX_BYTES) + head


class StoredAnswer(NamedTuple):
    """A whole answer; `file` stands at its first byte. It stays readable whatever becomes of its name."""

    head: Head
    file: FileIO


def find(path: Path) -> StoredAnswer | None:
    file = kept_files.find(path)
    if file is None:
        return None
    head = _head(file)
    if head is None:
        file.close()
        return None
    return StoredAnswer(head, file)


def _head(file: FileIO) -> Head | None:
    """None for a file that is not ours, or was damaged: it is replaced when it is next asked for."""
    length = int.from_bytes(file.read(_PREFIX_BYTES) or b"")
    if length > _MOST_HEAD_BYTES:
        return None
    try:
        return msgspec.msgpack.decode(file.read(length) or b"", type=Head)
    except msgspec.DecodeError:
        return None
