"""The data folder: the process that holds it, and the user that owns it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_IMODE, S_ISVTX

from proxy.errors import CannotServe, DataHeld

_OTHERS_MODE_BITS = 0o077
_SYSTEM_FOLDERS = frozenset(
    (
        *("/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/media", "/mnt", "/opt", "/proc", "/root"),
        *(
            "/run",
            "/sbin",
            "/srv",
            "/sys",
            "/usr",
            "/usr/local",
            "/var",
            "/var/cache",
            "/var/lib",
            "/var/log",
        ),
    )
)
"""Folders of the system. Folders that all users may write, such as /tmp, are recognised by their sticky
bit."""

LOCK_FILE = "lock"
RUNTIME_LINK = "run"
"""A link to the runtime folder of the server that holds the data folder."""

_LOCK_TRIES, _LOCK_PAUSE_S = 20, 0.02


@contextmanager
def lock_data_folder(data: Path, *, is_shared: bool = False) -> Iterator[None]:
    """Hold the lock of the data folder during the block. Raise DataHeld if another process has it.

    Processes that only read the folder share the lock. At the end, root's files in the folder are given to
    the folder's owner, since a service that runs as this user needs them.
    """
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make_private(data)
        descriptor = os.open(data / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise CannotServe(f"server.data: {data} cannot be written: {error.strerror}") from None
    try:
        _lock(descriptor, fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX)
    except BlockingIOError:
        raise DataHeld(
            f"server.data: another voxgate already runs on {data}; stop it, or give this one another folder"
        ) from None
    else:
        try:
            yield
        finally:
            give_to_owner(data, data.stat())
    finally:
        os.close(descriptor)


def give_to_owner(folder: Path, owner: os.stat_result) -> None:
    """Give all files that root made in a folder to the owner of the data folder."""
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    for _, folders, files, descriptor in os.fwalk(folder):
        for name in (*folders, *files):
            # A server may delete files meanwhile.
            with suppress(FileNotFoundError):
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                # A hard link is left alone: the owner could have made it, to a file outside the folder.
                if found.st_uid == 0 and (name in folders or found.st_nlink == 1):
                    os.chown(name, owner.st_uid, owner.st_gid, dir_fd=descriptor, follow_symlinks=False)


def _make_private(data: Path) -> None:
    """Close the folder to other users: it has keys and records. Raise CannotServe if it is not ours."""
    found = data.stat()
    if not S_IMODE(found.st_mode) & _OTHERS_MODE_BITS:
        return
    if found.st_mode & S_ISVTX or str(data.resolve()) in _SYSTEM_FOLDERS:
        raise CannotServe(
            f"server.data: {data} is shared with others; name a folder of its own, such as {data}/voxgate"
        )
    if found.st_uid != os.geteuid():
        raise CannotServe(
            f"server.data: others can read {data}, and it belongs to another user; run chmod 700 {data} as "
            "that user, or name another folder"
        )
    data.chmod(S_IMODE(found.st_mode) & ~_OTHERS_MODE_BITS)


def _lock(descriptor: int, kind: int) -> None:
    """Take the lock, or raise BlockingIOError. It tries for a moment, as `is_held` has the lock briefly."""
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(_LOCK_PAUSE_S)
    fcntl.flock(descriptor, kind | fcntl.LOCK_NB)


def is_held(data: Path) -> bool:
    """Return whether a process has the data folder. Make neither the folder nor the file."""
    try:
        descriptor = os.open(data / LOCK_FILE, os.O_RDONLY)
    except OSError:
        return False
    try:
        # The lock is shared, so that two processes in `is_held` do not take each other for a server.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
