"""Secrets that the server makes for itself, each in a private file: one for the names of kept files, so that
nobody who reads the disk can try texts on the names, and the master key of the vault."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path

from proxy.kept import locked_files

_BYTES = 32
_LOOK_AGAIN_S = 0.01


def for_now() -> bytes:
    """Make a secret for a disk that keeps none. Files under it are found until this process ends."""
    return secrets.token_bytes(_BYTES)


def ensure(file: Path, make: Callable[[], bytes] = for_now) -> bytes:
    """Return the secret in the file, and make it on the first day. Waits for the disk; raises OSError."""
    while len(kept := _read(file)) < _BYTES:
        lock = locked_files.take(file)
        if lock is None:
            time.sleep(_LOOK_AGAIN_S)  # another worker is making it
            continue
        try:
            if len(_read(file)) < _BYTES:
                with lock.create_part() as part:
                    part.write(make())
                    lock.complete_part(part, lock.name)
        finally:
            lock.release()
    return kept


def _read(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""
