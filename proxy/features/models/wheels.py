"""Wheels: pip downloads a wheel by its digest, and its members are read. It is never installed or
imported."""

from __future__ import annotations

import lzma
import os
import stat
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from proxy.features.models.addresses import FetchFailed
from proxy.features.models.index_process import ExpectedPackage, IndexPatience, run_fetcher
from proxy.features.models.part_file import ReportBytes

_ENCRYPTED = 0x1
_RUN_PIP = (
    "import runpy; from speech_engine.host.process_rights import die_with_parent; die_with_parent(); "
    "runpy.run_module('pip', run_name='__main__', alter_sys=True)"
)
"""The program that runs pip. pip ends when its parent process ends, even by a kill."""


def download_wheel(
    requirement: str,
    expected: ExpectedPackage,
    work_folder: Path,
    patience: IndexPatience,
    report: ReportBytes,
) -> Path:
    """Have pip download the wheel of a requirement, which has digests. Raise FetchFailed, OSError."""
    requirements, download_folder = work_folder / "requirements.txt", work_folder / "coming"
    download_folder.mkdir()
    requirements.write_text(f"{requirement}\n")
    command = (
        *(sys.executable, "-I", "-c", _RUN_PIP, "--disable-pip-version-check", "--no-input", "download"),
        # A source distribution would run its own code. A wheel is only a file.
        *("--no-deps", "--only-binary", ":all:", "--require-hashes", "--no-cache-dir", "--progress-bar=off"),
        *(f"--retries={patience.retries}", f"--timeout={patience.answer_s}"),
        *("--dest", str(download_folder / "wheel"), "--requirement", str(requirements)),
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    run_fetcher(command, download_folder, environ, expected, patience, report)
    found = list((download_folder / "wheel").glob("*.whl"))
    if len(found) != 1:
        raise FetchFailed(f"{expected.name}: the index has other files than the gallery says")
    return found[0]


@contextmanager
def open_wheel_member(wheel: Path, path: str) -> Iterator[IO[bytes]]:
    """Open a member that is a plain file. Raise FetchFailed, here or where it is read."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            found = [info for info in archive.infolist() if info.filename == path]
            if len(found) != 1:
                raise FetchFailed(f"{path}: the wheel has it {len(found)} times")
            # The upper 16 bits are the file's mode in Unix. It is 0 if the archive does not state it.
            kind = stat.S_IFMT(found[0].external_attr >> 16)
            if kind not in (0, stat.S_IFREG) or found[0].flag_bits & _ENCRYPTED:
                raise FetchFailed(f"{path}: it is no plain file in the wheel")
            with archive.open(found[0]) as file:
                yield file
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, EOFError):
        raise FetchFailed(f"{path}: the wheel is damaged") from None
    except OSError as error:
        if error.errno is not None:  # it comes from the disk
            raise
        raise FetchFailed(f"{path}: the wheel is damaged") from None  # bz2 has no exception of its own
