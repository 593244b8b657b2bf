"""Real programs for tests: the machine's own, or from Debian's packages in the user's cache, without root."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeVar

import pytest

from tests.clients.environments import Absent, built

T = TypeVar("T")

_PACKAGES = {
    "chromium": ("chromium", "fonts-liberation", "fonts-tlwg-garuda-ttf"),
    "ffmpeg": ("ffmpeg",),
    "ffprobe": ("ffmpeg",),
    "fish": ("fish", "fish-common", "libpcre2-32-0"),
    "mediainfo": ("mediainfo",),
    "nginx": ("nginx", "nginx-common", "libpcre2-8-0"),
    "systemd-analyze": ("systemd",),
    "zsh": ("zsh", "zsh-common"),
}
_DOWNLOAD_S = 300


class Program(NamedTuple):
    """Its file, and what its environment needs besides."""

    file: str
    environ: Mapping[str, str]


def program(name: str) -> Program:
    """Skips the test where the program cannot be had, by name."""
    return present(lambda: _found(name))


def script(name: str, folder: Path) -> Path:
    """Return a script in `folder` that is the program with its environment, for a shell's PATH."""
    found = program(name)
    file = folder / name
    words = ["env", *(f"{key}={value}" for key, value in found.environ.items()), found.file]
    file.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    file.chmod(0o755)
    return file


def present(find: Callable[[], T]) -> T:
    """Skips the test where `find` raises Absent."""
    try:
        return find()
    except Absent as absent:
        pytest.skip(str(absent))


@cache
def _found(name: str) -> Program:
    """Raises `Absent`."""
    if own := shutil.which(name):
        return Program(own, {})
    packages = _PACKAGES.get(name, ())
    if not packages or shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise Absent(f"this machine has no {name}, and no way to its package")
    root = built(name, list(packages), lambda folder: _unpack(folder, packages))
    # In usr/bin, Chromium has a script that looks for the rest in the system's own folders.
    places = ("usr/lib/chromium", "bin", "usr/bin", "usr/sbin")
    file = next(path for place in places if (path := root / place / name).exists())
    return Program(str(file), _environ(root))


def _environ(root: Path) -> dict[str, str]:
    """What makes a program find the libraries and fonts that were unpacked beside it."""
    environ = {}
    if libraries := {str(each.parent) for each in root.glob("**/lib/**/lib*.so*")}:
        environ["LD_LIBRARY_PATH"] = os.pathsep.join(libraries)
    if (share := root / "usr" / "share" / "fonts").exists():
        environ["XDG_DATA_HOME"] = str(share.parent)
    if (settings := root / "etc" / "fonts").exists():
        environ["FONTCONFIG_PATH"] = str(settings)
    return environ


def _unpack(folder: Path, packages: tuple[str, ...]) -> None:
    downloads = folder / "downloads"
    downloads.mkdir()
    try:
        _download(["apt-get"], packages, downloads)
    except subprocess.CalledProcessError:
        # The machine has no lists of packages, or old ones: fetch them, into a folder that needs no rights.
        lists = downloads / "lists"
        (lists / "partial").mkdir(parents=True)
        own = ["apt-get", "-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={downloads}"]
        _run([*own, "update"], downloads)
        _download(own, packages, downloads)
    for package in downloads.glob("*.deb"):
        _run(["dpkg", "-x", str(package), str(folder)], downloads)
    # Fish looks for its settings from where it is, one folder above its program.
    (folder / "usr" / "etc").symlink_to("../etc")
    shutil.rmtree(downloads)


def _download(apt: list[str], packages: tuple[str, ...], folder: Path) -> None:
    """Fetches packages with what they need and this machine lacks."""
    plan = _run([*apt, "install", "--simulate", "--no-install-recommends", *packages], folder)
    lacking = {line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")}
    _run([*apt, "download", *sorted(lacking.union(packages))], folder)


def _run(command: list[str], folder: Path) -> str:
    plain = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(
        command, cwd=folder, env=plain, capture_output=True, text=True, timeout=_DOWNLOAD_S, check=True
    ).stdout
