"""The data folder: can it be written, is there room, can SQLite work there, and who holds it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from proxy.config.config_toml import Config
from proxy.config.storage_address import is_postgres
from proxy.diagnosis.doctor.result import Result, note, ok, wrong

FULL_BYTES = 64 * 2**20
NEARLY_FULL_BYTES = 1024 * 2**20

# SQLite's write-ahead log needs memory that all its readers share, which these do not give.
_REMOTE = (
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "beegfs", "gpfs", "ocfs2"),
    *(f"fuse.{name}" for name in ("sshfs", "s3fs", "glusterfs", "rclone", "gcsfuse", "davfs2", "ceph-fuse")),
)


class Room(Protocol):
    """What statvfs tells of a file system."""

    @property
    def f_bavail(self) -> int: ...
    @property
    def f_frsize(self) -> int: ...
    @property
    def f_files(self) -> int: ...
    @property
    def f_favail(self) -> int: ...


def writable(config: Config) -> Iterator[Result]:
    data = Path(config.data)
    there = _nearest(data)
    do = "make it a folder that this user may write to, or name another with [server] data"
    if not there.is_dir():
        yield wrong("data folder", f"{there} is not a folder", do)
        return
    try:
        # Tried, not asked for: root may write anywhere by its mode, but not on a read-only disk.
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        yield wrong("data folder", f"{there} cannot be written: {error.strerror}", do)
        return
    yield ok("data folder", str(data) if there == data else f"{data}, made at the first start")


def room(config: Config, measure: Callable[[Path], Room] = os.statvfs) -> Iterator[Result]:
    found = measure(_nearest(Path(config.data)))
    free = found.f_bavail * found.f_frsize
    says = f"{free / 1e9:,.2f} GB free"
    do = "make room, or move the data folder: what cannot be written down is not answered either"
    if free < FULL_BYTES or (found.f_files and not found.f_favail):
        yield wrong("disk", says if found.f_favail else f"{says}, but no file more can be made", do)
    elif free < NEARLY_FULL_BYTES:
        yield note("disk", says, do)
    else:
        yield ok("disk", says)


def file_system(config: Config, mounts: Path = Path("/proc/self/mountinfo")) -> Iterator[Result]:
    if is_postgres(config.storage.url) or not mounts.exists():
        return
    kind = _kind(_nearest(Path(config.data)).resolve(), mounts.read_text())
    if kind in _REMOTE:
        do = "use a local disk: SQLite's write-ahead log does not work over a network"
        yield wrong("file system", f"{config.data} is on {kind}", do)
    else:
        yield ok("file system", kind or "unknown")


def _nearest(folder: Path) -> Path:
    """The folder itself, or what it would be made in."""
    return next(there for there in (folder, *folder.parents) if there.exists())


def _kind(folder: Path, mounts: str) -> str:
    """The file system under a folder; of mounts on the same place the last one counts."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        mount, _, rest = line.partition(" - ")
        # Blanks in a path are written in octal there.
        point = mount.split(" ")[4].encode().decode("unicode_escape")
        if folder.is_relative_to(point) and len(point) >= best:
            best, kind = len(point), rest.split(" ")[0]
    return kind
