"""Stored files: each is whole or does not exist, and is made by one worker. Their sum is bounded.

Every function here waits for the disk, so threads call it; every function raises OSError.

`NAME` is a whole file and never changes: it is written as `NAME.part` and renamed. `NAME.lock` says that the
file is being made. That lock ends with the process that holds it, so a killed worker leaves no name stuck.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from io import FileIO
from pathlib import Path
from stat import S_ISDIR

LOCK, PART = ".lock", ".part"


class Lock:
    """The right to make one file. It ends with `release`, with the object, or with the process.

    It holds the folder open. If the folder is moved, the file goes with it.
    """

    def __init__(self, name: str, folder: int, file: FileIO) -> None:
        self.name = name
        self._folder = folder
        self._file = file

    def __del__(self) -> None:
        # A caller that is cancelled while a thread takes the lock never gets it.
        self._close()

    def create_part(self) -> FileIO:
        """Open the unfinished file, emptied, since a killed worker may have left a part of it."""
        return FileIO(self.name + PART, "w", opener=_private_opener(self._folder))

    def complete_part(self, file: FileIO, name: str) -> None:
        """Give the file its name. Return when both would outlive a power cut."""
        os.fsync(file.fileno())
        os.rename(self.name + PART, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        self.flush_folder()

    def drop_part(self) -> None:
        _unlink(self.name + PART, self._folder)

    def drop_whole(self, name: str) -> None:
        _unlink(name, self._folder)

    def flush_folder(self) -> None:
        """Return when the names in the folder would outlive a power cut."""
        os.fsync(self._folder)

    def release(self) -> None:
        # The name is removed first, so that a later process makes a new lock and does not try ours.
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
    """Open a whole file. It stays readable when its name is removed or replaced."""
    try:
        return FileIO(path)
    except FileNotFoundError:
        return None


def take(path: Path) -> Lock | None:
    """Take the lock of a file. Return None while this process or another one holds it."""
    while True:
        try:
            return _take(path)
        except FileNotFoundError:
            continue  # the folder was removed between two of our steps


def _take(path: Path) -> Lock | None:
    with ExitStack() as unless_taken:
        path.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        unless_taken.callback(os.close, folder)
        file = _open_locked(path.name + LOCK, folder)
        if file is None:
            return None
        unless_taken.pop_all()
        return Lock(path.name, folder, file)


def sweep(folder: Path, most_bytes: int, oldest: float, *, by_use: bool = False) -> tuple[int, int]:
    """Remove files that are too old, then others until the rest fits, and unfinished files of killed workers.

    A file is too old if it was written before `oldest`. After that the oldest files go first; with `by_use`,
    the least recently used ones.
    """
    whole: list[tuple[bool, float, int, Path]] = []
    total = 0
    for name in list_names(folder):
        path = folder / name
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        if S_ISDIR(stat.st_mode):
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
    return removed, total


def list_names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _open_locked(name: str, folder: int) -> FileIO | None:
    while True:
        with ExitStack() as unless_locked:
            file = unless_locked.enter_context(FileIO(name, "w", opener=_private_opener(folder)))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            # Its holder may have removed the name between our two steps, and the lock would be useless.
            if _is_at(name, folder, file):
                unless_locked.pop_all()
                return file


def _drop_left_over(path: Path) -> bool:
    lock = take(path.with_suffix(""))
    if lock is None:
        return False
    try:
        lock.drop_part()
    finally:
        lock.release()
    return True


def _private_opener(folder: int) -> partial[int]:
    return partial(_open_private, folder=folder)


def _open_private(name: str, flags: int, *, folder: int) -> int:
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


_BYTES = 32
_LOOK_AGAIN_S = 0.01


def new_secret() -> bytes:
    return secrets.token_bytes(_BYTES)


def ensure_secret(file: Path, make: Callable[[], bytes] = new_secret, *, is_cheap: bool = False) -> bytes:
    """Return the content of the file, and make the file if there is none. Waits for the disk; raises OSError.

    A file that is too short is made anew only if the secret `is_cheap`, which means that a new one loses
    nothing.
    """
    least = _BYTES if is_cheap else 0
    while (stored := _read(file)) is None or len(stored) < least:
        held = wait_for_lock(file)
        try:
            now = _read(file)
            if now is None or len(now) < least:
                with held.create_part() as part:
                    part.write(make())
                    held.complete_part(part, held.name)
        finally:
            held.release()
    return stored


def wait_for_lock(file: Path) -> Lock:
    """Take the lock of a file, when another worker or command has released it. Raises OSError."""
    while (taken := take(file)) is None:
        time.sleep(_LOOK_AGAIN_S)
    return taken


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        if file.is_symlink():
            raise  # the target of the link may come back
        return None
