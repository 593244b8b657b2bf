"""The sealed files of a vault: `ACCOUNT/DIGEST` in its folder. Every function waits for the disk.

A file is written sealed as `DIGEST.part`, and has its name before its row is committed. A process that makes
or removes a file holds its lock. So a file without a row, whose lock is free, is left over. The age of
`DIGEST.left` tells for how long.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from proxy.file_store import locked_files
from proxy.file_store.locked_files import Lock
from proxy.storage.disk_names import DiskName, flush

LEFT = ".left"


def write(lock: Lock, blob: bytes) -> None:
    """Write a file. Afterwards it is on the disk, or nothing of it is. Raises OSError."""
    try:
        with lock.create_part() as part:
            view = memoryview(blob)
            while view:
                view = view[part.write(view) or 0 :]
            lock.complete_part(part, lock.name)
    except BaseException:
        lock.drop_part()
        raise


def remove(lock: Lock, name: str) -> None:
    """Remove a file, and wait until the disk knows. Raises OSError."""
    lock.drop_whole(name)
    lock.drop_whole(name + LEFT)
    lock.flush_folder()


def left_over_s(path: Path) -> float:
    """Return for how many seconds it is known that a file is left over. Raises OSError."""
    mark = path.with_suffix(LEFT)
    try:
        return time.time() - mark.stat().st_mtime
    except FileNotFoundError:
        mark.touch(mode=0o600)
        return 0.0


def review_mark(mark: Path, *, has_row: bool) -> None:
    """Remove a mark whose file has a row again, or is gone. Raises OSError."""
    if has_row or not mark.with_suffix("").exists():
        mark.unlink(missing_ok=True)


def remove_half(path: Path) -> None:
    """Remove a half file, or a lock, that a killed process has left. Raises OSError."""
    lock = locked_files.take(path.with_suffix(""))
    if lock is not None:
        try:
            lock.drop_part()
        finally:
            lock.release()


def list_files(root: Path) -> list[Path]:
    folders = [root / account for account in locked_files.list_names(root)]
    return [folder / name for folder in folders for name in locked_files.list_names(folder)]


def remove_folder(root: Path, account: DiskName) -> None:
    """Remove all that lies there for an account."""
    shutil.rmtree(root / account, ignore_errors=True)
    if root.exists():
        flush(root)
