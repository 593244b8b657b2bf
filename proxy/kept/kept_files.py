"""Files that are kept for later requests: each whole or not there at all, made by one, and bounded together.

Everything here waits for the disk, so it is called in threads; every function raises OSError.

`NAME` is whole and never changes: it is written as `NAME.part` and renamed. `NAME.lock` says that one is
being made, by a lock that ends with whoever holds it: a killed worker leaves no name stuck.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from io import FileIO
from pathlib import Path
from typing import NamedTuple

LOCK, PART = ".lock", ".part"


class Swept(NamedTuple):
    """How many were removed, and how much is left, in bytes."""

    removed: int
    left_bytes: int


class Lock:
    """The right to make one file; held until it is let go of, or forgotten, or the process ends.

    It has the folder itself open, not its name: what is written when the folder has been moved away goes
    where the folder went.
    """

    def __init__(self, name: str, folder: int, file: FileIO) -> None:
        self.name = name
        self._folder = folder
        self._file = file

    def __repr__(self) -> str:
        return f"<Lock {self.name}>"

    def __del__(self) -> None:
        # Forgotten by a caller that was cancelled while a thread took it.
        self._close()

    def create_part(self) -> FileIO:
        """What a killed worker left of the same file is gone."""
        return FileIO(self.name + PART, "w", opener=_private_in(self._folder))

    def complete_part(self, file: FileIO, as_name: str | None = None) -> None:
        """Returns when the whole file and its name would outlive a power cut."""
        os.fsync(file.fileno())
        os.rename(self.name + PART, as_name or self.name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        os.fsync(self._folder)

    def drop_part(self) -> None:
        _unlink(self.name + PART, self._folder)

    def drop_whole(self) -> None:
        _unlink(self.name, self._folder)

    def release(self) -> None:
        # The name first: whoever opens it after that makes a lock of its own, and none waits for this one.
        try:
            _unlink(self.name + LOCK, self._folder)
        finally:
            self._close()

    def _close(self) -> None:
        folder, self._folder = self._folder, -1
        self._file.close()
        if folder >= 0:
            os.close(folder)


def find(path: Path) -> FileIO | None:
    """It stays readable whatever becomes of its name."""
    try:
        return FileIO(path)
    except FileNotFoundError:
        return None


def take(path: Path) -> Lock | None:
    """The lock of a file; None while another one holds it, of this process or any other."""
    while True:
        try:
            return _take(path)
        except FileNotFoundError:
            continue  # the folder was taken away between two of our steps


def _take(path: Path) -> Lock | None:
    with ExitStack() as unless_taken:
        path.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        unless_taken.callback(os.close, folder)
        file = _locked(path.name + LOCK, folder)
        if file is None:
            return None
        unless_taken.pop_all()
        return Lock(path.name, folder, file)


def sweep(folders: Iterable[Path], most_bytes: int, oldest: float, *, by_use: bool = False) -> Swept:
    """Removes files last written before `oldest`, then the oldest ones, or those longest unused, until the
    rest fits; and what killed workers left of files that they were making."""
    whole: list[tuple[bool, float, int, Path]] = []
    total = 0
    for path in (path for folder in folders for path in _listed(folder)):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        if path.suffix in (LOCK, PART):
            total += 0 if _drop_left_over(path) else stat.st_size
            continue
        used = stat.st_atime if by_use else stat.st_mtime
        whole.append((stat.st_mtime >= oldest, used, stat.st_size, path))
        total += stat.st_size
    removed = 0
    for is_young, _, size, path in sorted(whole):
        if is_young and total <= most_bytes:
            break
        path.unlink(missing_ok=True)
        total -= size
        removed += 1
    return Swept(removed, total)


def _locked(name: str, folder: int) -> FileIO | None:
    while True:
        with ExitStack() as unless_locked:
            file = unless_locked.enter_context(FileIO(name, "w", opener=_private_in(folder)))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            # Its holder may have taken the name away between our two steps; then it would lock nobody out.
            if _is_at(name, folder, file):
                unless_locked.pop_all()
                return file


def _listed(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in os.listdir(folder)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _drop_left_over(path: Path) -> bool:
    lock = take(path.with_suffix(""))
    if lock is None:
        return False
    try:
        lock.drop_part()
    finally:
        lock.release()
    return True


def _private_in(folder: int) -> partial[int]:
    return partial(_private, folder=folder)


def _private(name: str, flags: int, *, folder: int) -> int:
    return os.open(name, flags, 0o600, dir_fd=folder)


def _is_at(name: str, folder: int, file: FileIO) -> bool:
    try:
        return os.path.samestat(os.stat(name, dir_fd=folder), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _unlink(name: str, folder: int) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return
