"""Secrets that the server makes for itself, each in a private file: one for the names of kept files, so that
a reader of the disk cannot try texts on the names, and the master key of the vault."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path

from proxy.kept import locked_files
from proxy.kept.locked_files import Lock

_BYTES = 32
_LOOK_AGAIN_S = 0.01


def for_now() -> bytes:
    """Make a secret for a disk that keeps none. Files under it are found until this process ends."""
    return secrets.token_bytes(_BYTES)


def ensure(file: Path, make: Callable[[], bytes] = for_now, *, is_cheap: bool = False) -> bytes:
    """Return what is in the file, and make it where there is none. Waits for the disk; raises OSError.

    A file that is too short for a secret is made anew only if the secret `is_cheap`: if nothing is lost
    that cannot be made again.
    """
    least = _BYTES if is_cheap else 0
    while (kept := _read(file)) is None or len(kept) < least:
        held = lock(file)
        try:
            now = _read(file)
            if now is None or len(now) < least:
                with held.create_part() as part:
                    part.write(make())
                    held.complete_part(part, held.name)
        finally:
            held.release()
    return kept


def lock(file: Path) -> Lock:
    """Take the lock of a file, when another worker or command has released it. Raises OSError."""
    while (taken := locked_files.take(file)) is None:
        time.sleep(_LOOK_AGAIN_S)
    return taken


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        if file.is_symlink():
            raise  # what it leads to is away, and may come back
        return None
