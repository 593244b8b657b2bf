"""The folder of kept answers: a file for each, its lock while it is being made, and the bound of them all.

Everything here waits for the disk, so it is called in threads; every function raises OSError.

`NAME` is a whole answer, which never changes: it is written as `NAME.part` and renamed. `NAME.lock` says
that one is being made, by a lock that ends with whoever holds it: a killed worker leaves no key stuck.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack
from io import FileIO
from pathlib import Path
from typing import NamedTuple

import msgspec

LOCK, PART = ".lock", ".part"
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


class Found(NamedTuple):
    """A whole answer; `file` stands at its first byte. It stays readable whatever becomes of its name."""

    head: Head
    file: FileIO


class Lock:
    """Held until it is let go of, or forgotten, or the process ends."""

    def __init__(self, path: Path, file: FileIO) -> None:
        self._path = path
        self._file = file

    def __repr__(self) -> str:
        return f"<Lock {self._path.name}>"

    def release(self) -> None:
        # The name first: whoever opens it after that makes a lock of its own, and none waits for this one.
        try:
            self._path.unlink(missing_ok=True)
        finally:
            self._file.close()


def find(path: Path) -> Found | None:
    try:
        file = FileIO(path)
    except FileNotFoundError:
        return None
    head = _head(file)
    if head is None:
        file.close()
        return None
    return Found(head, file)


def take(path: Path) -> Lock | None:
    """The lock of an answer; None while another one holds it, of this process or any other."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = path.with_name(path.name + LOCK)
    while True:
        with ExitStack() as unless_taken:
            file = unless_taken.enter_context(FileIO(lock, "w", opener=_private))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            # Its holder may have taken the name away between our two steps; then it would lock nobody out.
            if _is_at(lock, file):
                unless_taken.pop_all()
                return Lock(lock, file)


def create_part(path: Path) -> FileIO:
    """To be called under the lock; what a killed worker left of the same answer is gone."""
    return FileIO(path.with_name(path.name + PART), "w", opener=_private)


def complete_part(path: Path, file: FileIO) -> None:
    """Returns when the whole answer and its name would outlive a power cut."""
    os.fsync(file.fileno())
    path.with_name(path.name + PART).rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def drop_part(path: Path) -> None:
    path.with_name(path.name + PART).unlink(missing_ok=True)


def sweep(folder: Path, most_bytes: int, oldest: float) -> None:
    """Removes answers last written before `oldest`, then the oldest ones until the rest fits; and what killed
    workers left of answers that they were making."""
    whole: list[tuple[float, int, Path]] = []
    total = 0
    for path in _listed(folder):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        if path.suffix in (LOCK, PART):
            total += 0 if _drop_left_over(path) else stat.st_size
            continue
        whole.append((stat.st_mtime, stat.st_size, path))
        total += stat.st_size
    for written, size, path in sorted(whole):
        if written >= oldest and total <= most_bytes:
            break
        path.unlink(missing_ok=True)
        total -= size


def _listed(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in os.listdir(folder)]
    except FileNotFoundError:
        return []


def _drop_left_over(path: Path) -> bool:
    lock = take(path.with_suffix(""))
    if lock is None:
        return False
    try:
        drop_part(path.with_suffix(""))
    finally:
        lock.release()
    return True


def _head(file: FileIO) -> Head | None:
    """None for a file that is not ours, or was damaged: it is replaced when it is next asked for."""
    length = int.from_bytes(file.read(_PREFIX_BYTES) or b"")
    if length > _MOST_HEAD_BYTES:
        return None
    try:
        return msgspec.msgpack.decode(file.read(length) or b"", type=Head)
    except msgspec.DecodeError:
        return None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _is_at(path: Path, file: FileIO) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
