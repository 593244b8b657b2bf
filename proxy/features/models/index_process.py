"""Runs pip or npm to fetch a package, in a process that is watched. Their own settings name the index and its
mirrors. A package is only a file here: it is never installed or imported."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from proxy.features.models.addresses import FetchFailed
from proxy.features.models.part_file import ReportBytes

_SPARE_BYTES = 16 * 1024 * 1024
_LOOK_EVERY_S = 0.25
_LAST_LINES = 3
_NPM_LINES = 4
_NPM_FAULTS = ("npm error ", "npm ERR! ")


class IndexPatience(NamedTuple):
    """How long an index may take: the number of retries, the time for an answer, and the time without a
    byte."""

    retries: int = 2
    answer_s: float = 15.0
    silence_s: float = 60.0


class ExpectedPackage(NamedTuple):
    """The package that is fetched: its name in messages, and its size in bytes."""

    name: str
    size: int


def run_fetcher(
    command: Sequence[str],
    download_folder: Path,
    environ: Mapping[str, str],
    expected: ExpectedPackage,
    patience: IndexPatience,
    report: ReportBytes,
) -> None:
    """Run a command that writes its files into a folder. Raise FetchFailed if it fails, is silent for too
    long, or writes too much. Its log is beside the folder, so that messages do not count as progress."""
    log = download_folder.with_name("log")
    with (
        log.open("wb") as out,
        subprocess.Popen(
            command,
            cwd=download_folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            # Partial files lie on the same disk, and are deleted with the folder.
            env={**environ, "TMPDIR": str(download_folder)},
        ) as process,
    ):
        try:
            _watch(process, download_folder, expected, patience, report)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise FetchFailed(f"{expected.name}: {_failure_text(log)}")


def _watch(
    process: subprocess.Popen[bytes],
    download_folder: Path,
    expected: ExpectedPackage,
    patience: IndexPatience,
    report: ReportBytes,
) -> None:
    last_size, changed_at_s = 0, time.monotonic()
    while True:
        try:
            process.wait(_LOOK_EVERY_S)
            return
        except subprocess.TimeoutExpired:
            pass
        size = _bytes_below(download_folder)
        if size != last_size:
            last_size, changed_at_s = size, time.monotonic()
        # At the end the command copies the package, so for a moment there are two.
        if size > 2 * expected.size + _SPARE_BYTES:
            raise FetchFailed(f"{expected.name}: the index sends more than the gallery says")
        if time.monotonic() - changed_at_s > patience.silence_s:
            raise FetchFailed(f"{expected.name}: the index is silent")
        report(min(size, expected.size), expected.size)


def _bytes_below(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except FileNotFoundError:
                continue
    return total


def _failure_text(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("WARNING: Retrying", "[notice]"))]
    # npm prints the fault first, and then its place in npm's code.
    of_npm = [line.split(" ", 2)[2] for line in lines if line.startswith(_NPM_FAULTS)][:_NPM_LINES]
    faults = of_npm or [line for line in lines if line.startswith("ERROR:")][-_LAST_LINES:]
    return " ".join("; ".join(faults or lines[-_LAST_LINES:]).split()) or "it failed without a word"
