"""Stored files. A file is complete or does not exist. One worker makes it. `sweep` limits a folder's size.

Every function here blocks on the disk, so call it in a thread. Every function may raise OSError.

`NAME` is a complete file and never changes: it is written as `NAME.part` and renamed. `NAME.lock` means that
a process makes the file. The lock ends with that process, so another worker can make the file after a kill.
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

    It holds the folder open and makes the file there, even if the folder is moved.
    """

    def __init__(self, name: str, folder_fd: int, file: FileIO) -> None:
        self.name = name
        self._folder_fd = folder_fd
        self._file = file

    def __del__(self) -> None:
        # If a caller is cancelled while a thread takes the lock for it, there is no call of `release`.
        self._close()

    def create_part(self) -> FileIO:
        """Open the unfinished file. It is emptied first: a killed worker may have left data."""
        return FileIO(self.name + PART, "w", opener=partial(_open_private, folder=self._folder_fd))

    def complete_part(self, file: FileIO, name: str) -> None:
        """Give the file its name. On return, the file and its name would survive a power cut."""
        os.fsync(file.fileno())
        os.rename(self.name + PART, name, src_dir_fd=self._folder_fd, dst_dir_fd=self._folder_fd)
        self.flush_folder()

    def drop_part(self) -> None:
        _unlink(self.name + PART, self._folder_fd)

    def drop_whole(self, name: str) -> None:
        """Remove the complete file."""
        _unlink(name, self._folder_fd)

    def flush_folder(self) -> None:
        """On return, the names in the folder would survive a power cut."""
        os.fsync(self._folder_fd)

    def release(self) -> None:
        # The name is removed before the lock is released. So a process that opens the name makes a new lock.
        try:
            _unlink(self.name + LOCK, self._folder_fd)
        finally:
            self._close()

    def _close(self) -> None:
        folder_fd, self._folder_fd = self._folder_fd, -1
        self._file.close()
        if folder_fd >= 0:
            os.close(folder_fd)


def open_whole(path: Path) -> FileIO | None:
    """Open a complete file, or return None. It stays readable when its name is removed or replaced."""
    try:
        return FileIO(path)
    except FileNotFoundError:
        return None


def take_lock(path: Path) -> Lock | None:
    """Take the lock of a file. Return None while this process or another one holds it."""
    while True:
        try:
            return _take(path)
        except FileNotFoundError:
            continue  # another process removed the folder in the middle of `_take`


def _take(path: Path) -> Lock | None:
    with ExitStack() as on_failure:
        path.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        folder_fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        on_failure.callback(os.close, folder_fd)
        file = _open_locked(path.name + LOCK, folder_fd)
        if file is None:
            return None
        on_failure.pop_all()
        return Lock(path.name, folder_fd, file)


def sweep(folder: Path, most_bytes: int, valid_since: float, *, by_use: bool = False) -> tuple[int, int]:
    """Remove old files, and files above the limit. Return how many were removed, and the bytes that are left.

    A file is old if it was written before `valid_since`. If the other files have more than `most_bytes`, the
    oldest ones are removed, or with `by_use` the least recently used ones. Unfinished files of killed workers
    are removed too, but not counted.
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
            total += 0 if _remove_leftover(path) else stat.st_size
            continue
        used = stat.st_atime if by_use else stat.st_mtime
        whole.append((stat.st_mtime >= valid_since, used, stat.st_size, path))
        total += stat.st_size
    removed = 0
    for is_young, _, size, path in sorted(whole):  # old files first, then those whose last use is longest ago
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


def _open_locked(name: str, folder_fd: int) -> FileIO | None:
    while True:
        with ExitStack() as on_failure:
            file = on_failure.enter_context(
                FileIO(name, "w", opener=partial(_open_private, folder=folder_fd))
            )
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            # The former holder may have removed the name after we opened it. Our lock would have no effect.
            if _has_name(name, folder_fd, file):
                on_failure.pop_all()
                return file


def _remove_leftover(path: Path) -> bool:
    """Remove a lock with its unfinished file. Return false if a process still makes the file."""
    lock = take_lock(path.with_suffix(""))
    if lock is None:
        return False
    try:
        lock.drop_part()
    finally:
        lock.release()
    return True


def _open_private(name: str, flags: int, *, folder: int) -> int:
    return os.open(name, flags, 0o600, dir_fd=folder)


def _has_name(name: str, folder_fd: int, file: FileIO) -> bool:
    try:
        return os.path.samestat(os.stat(name, dir_fd=folder_fd), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _unlink(name: str, folder_fd: int) -> None:
    try:
        os.unlink(name, dir_fd=folder_fd)
    except FileNotFoundError:
        return


_SECRET_BYTES = 32
_RETRY_PAUSE_S = 0.01


def new_secret() -> bytes:
    return secrets.token_bytes(_SECRET_BYTES)


def ensure_secret(file: Path, make: Callable[[], bytes] = new_secret, *, is_cheap: bool = False) -> bytes:
    """Return the content of the file. If there is no file, make it first.

    If `is_cheap`, a new secret does no harm, so a file that is too short is replaced. Otherwise it is
    returned.
    """
    least_bytes = _SECRET_BYTES if is_cheap else 0
    while (stored := _read(file)) is None or len(stored) < least_bytes:
        held = wait_for_lock(file)
        try:
            current = _read(file)
            if current is None or len(current) < least_bytes:
                with held.create_part() as part:
                    part.write(make())
                    held.complete_part(part, held.name)
        finally:
            held.release()
    return stored


def wait_for_lock(file: Path) -> Lock:
    """Take the lock of a file. Block until no other worker or command holds it."""
    while (lock := take_lock(file)) is None:
        time.sleep(_RETRY_PAUSE_S)
    return lock


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        if file.is_symlink():
            raise  # the target of the link may come back
        return None
