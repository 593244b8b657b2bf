"""The server's secret for the names of what is kept: who finds those on a disk cannot try texts on them."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

from proxy.kept import locked_files

_BYTES = 32
_LOOK_AGAIN_S = 0.01


def ensure(file: Path) -> bytes:
    """The one in the file, made on the first day, and everybody's. Waits for the disk; raises OSError."""
    while len(kept := _read(file)) < _BYTES:
        lock = locked_files.take(file)
        if lock is None:
            time.sleep(_LOOK_AGAIN_S)  # another worker makes it just now
            continue
        try:
            if len(_read(file)) < _BYTES:
                with lock.create_part() as part:
                    part.write(secrets.token_bytes(_BYTES))
                    lock.complete_part(part)
        finally:
            lock.release()
    return kept


def for_now() -> bytes:
    """Where the disk takes none: what is kept under it is found until this process ends."""
    return secrets.token_bytes(_BYTES)


def _read(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""
