"""The expected size and digest of a file. A hub sends either a SHA-256 or a blob id of git."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

_PIECE = 4 * 1024 * 1024
_SHA256, _BLOB = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")

Count = Callable[[int, int], None]
"""Called with the finished bytes, and their total."""


def is_sha256(text: str) -> bool:
    return bool(_SHA256.fullmatch(text))


def is_digest(text: str) -> bool:
    return bool(_SHA256.fullmatch(text) or _BLOB.fullmatch(text))


def has_digest(path: Path, digests: tuple[str, ...], count: Count) -> bool:
    """Tell whether a file has one of these digests. Raise OSError."""
    size = path.stat().st_size
    sha256 = hashlib.sha256()
    # git's own name of the contents. A pinned revision vouches for it.
    blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    needs_blob = any(_BLOB.fullmatch(each) for each in digests)
    done = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            sha256.update(piece)
            if needs_blob:
                blob.update(piece)
            done += len(piece)
            count(done, size)
    return sha256.hexdigest() in digests or (needs_blob and blob.hexdigest() in digests)
