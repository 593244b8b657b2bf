"""The checks of the machine: open files, paths of sockets, the data folder, and room on the disk."""

from __future__ import annotations

import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from proxy.config.addresses import is_postgres
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, note, ok, wrong
from proxy.processes import runtime
from speech_engine.host.confinement import has_call_filter, has_landlock

FEWEST_FILES = 512
ENOUGH_FILES = 4096
_RAISE = "raise it: ulimit -n 65536, or LimitNOFILE=65536 in the systemd unit"
FULL_BYTES = 64 * 2**20
NEARLY_FULL_BYTES = 1024 * 2**20
FLUSHES = 50
SLOW_MS, WORST_MS = 10.0, 100.0
_WRITTEN_BYTES = 65536  # more than a flush of 4 KiB writes, with the journal of its file system

# SQLite's write-ahead log needs memory that its readers share. These have none.
_NETWORK_FILE_SYSTEMS = (
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "beegfs", "gpfs", "ocfs2"),
    *(f"fuse.{name}" for name in ("sshfs", "s3fs", "glusterfs", "rclone", "gcsfuse", "davfs2", "ceph-fuse")),
)


def open_files() -> Iterator[Finding]:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY or limit >= ENOUGH_FILES:
        yield ok("open files", "no limit" if limit == resource.RLIM_INFINITY else f"up to {limit}")
    elif limit >= FEWEST_FILES:
        yield note("open files", f"up to {limit}: enough for about {limit // 2} requests at once", _RAISE)
    else:
        yield wrong("open files", f"up to {limit}", _RAISE)


def confinement() -> Iterator[Finding]:
    if has_call_filter():
        yield ok("confinement", "engines' processes start no programs and reach no network")
    else:
        do = "use a kernel with seccomp: without it, a broken engine could reach the network"
        yield note("confinement", "this kernel cannot refuse system calls to engines' processes", do)
    if not has_landlock():
        do = "use a kernel with Landlock (5.13 or later), or see that this user can read and change little"
        yield note("confinement", "this kernel cannot take files from the processes that decode uploads", do)


def sockets() -> Iterator[Finding]:
    named = os.environ.get("XDG_RUNTIME_DIR", "")
    base = runtime.runtime_base()
    if not os.access(base, os.W_OK | os.X_OK):
        do = "let this user write there, or set XDG_RUNTIME_DIR to a short path of its own"
        yield wrong("sockets", f"{base} cannot be written", do)
    elif named and named != str(base):
        do = "set XDG_RUNTIME_DIR to a folder that this user may write, with a path under 40 characters"
        yield note("sockets", f"in {base}: XDG_RUNTIME_DIR is too long, or cannot be written", do)
    else:
        yield ok("sockets", f"in {base}")


def data_folder(config: Config) -> Iterator[Finding]:
    data = Path(config.data)
    existing = _nearest_existing(data)
    do = "make it a folder that this user may write to, or name another with [server] data"
    if not existing.is_dir():
        yield wrong("data folder", f"{existing} is not a folder", do)
        return
    try:
        # A file is really written: root may write anywhere by the mode, but not on a read-only disk.
        tempfile.TemporaryFile(dir=existing).close()
    except OSError as error:
        yield wrong("data folder", f"{existing} cannot be written: {error.strerror}", do)
        return
    yield ok("data folder", str(data) if existing == data else f"{data}; the first start makes it")


def disk(config: Config, measure: Callable[[Path], os.statvfs_result] = os.statvfs) -> Iterator[Finding]:
    measured = measure(_nearest_existing(Path(config.data)))
    free = measured.f_bavail * measured.f_frsize
    found = f"{free / 1e9:,.2f} GB free"
    do = "make room, or move the data folder: without room, requests are refused"
    if free < FULL_BYTES or (measured.f_files and not measured.f_favail):
        yield wrong("disk", found if measured.f_favail else f"{found}, but no file more can be made", do)
    elif free < NEARLY_FULL_BYTES:
        yield note("disk", found, do)
    else:
        yield ok("disk", found)


def flushes(config: Config, flush: Callable[[int], None] = os.fdatasync) -> Iterator[Finding]:
    """Time 50 flushes of the disk, or those of two seconds: the commit of each answer waits for one."""
    if is_postgres(config.storage.url):
        return
    took_ms, until = list[float](), time.monotonic() + 2.0
    try:
        with tempfile.TemporaryFile(dir=_nearest_existing(Path(config.data))) as opened:
            file = opened.fileno()
            before = _written_bytes(file)
            while len(took_ms) < FLUSHES and time.monotonic() < until:
                os.pwrite(file, os.urandom(4096), 4096 * len(took_ms))
                began = time.perf_counter()
                flush(file)
                took_ms.append((time.perf_counter() - began) * 1000)
            others_bytes = _written_bytes(file) - before - len(took_ms) * _WRITTEN_BYTES
    except OSError:
        return  # the check of the data folder says why
    middle, worst = statistics.median(took_ms), max(took_ms)
    found = f"{len(took_ms)} of them took {middle:.1f} ms in the middle and {worst:.0f} ms at most"
    if middle <= SLOW_MS and worst <= WORST_MS:
        yield ok("flushes", found)
    else:
        others = f"other programs wrote {others_bytes / 1e6:.0f} MB to that disk meanwhile"
        why = others if others_bytes > 0 else "the disk itself is slow"
        do = "give the data folder a disk of its own, best an SSD with power-loss protection"
        yield note("flushes", f"slow: {found}; {why}", do)


def _written_bytes(descriptor: int) -> int:
    """Return the bytes that all programs have written to the disk of a file, or 0 if that is not known."""
    device = os.fstat(descriptor).st_dev
    counts = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
    return int(counts.read_text().split()[6]) * 512 if counts.exists() else 0  # sectors of 512 bytes


def file_system(config: Config, mounts: Path = Path("/proc/self/mountinfo")) -> Iterator[Finding]:
    if is_postgres(config.storage.url) or not mounts.exists():
        return
    kind = _file_system_of(_nearest_existing(Path(config.data)).resolve(), mounts.read_text())
    if kind in _NETWORK_FILE_SYSTEMS:
        do = "use a local disk: SQLite's write-ahead log does not work over a network"
        yield wrong("file system", f"{config.data} is on {kind}", do)
    else:
        yield ok("file system", kind or "unknown")


def _nearest_existing(folder: Path) -> Path:
    return next(existing for existing in (folder, *folder.parents) if existing.exists())


def _file_system_of(folder: Path, mounts: str) -> str:
    """Return the file system of a folder. Of several mounts on one place, the last one counts."""
    longest, kind = -1, ""
    for line in mounts.splitlines():
        mount, _, rest = line.partition(" - ")
        # In this file blanks in a path are written in octal.
        point = mount.split(" ")[4].encode().decode("unicode_escape")
        if folder.is_relative_to(point) and len(point) >= longest:
            longest, kind = len(point), rest.split(" ")[0]
    return kind
