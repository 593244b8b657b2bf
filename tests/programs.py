"""Real programs for tests: the machine's own, or from Debian's packages in the user's cache, without root."""

from __future__ import annotations

import os
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
    "fish": ("fish", "fish-common", "libpcre2-32-0"),
    "nginx": ("nginx", "nginx-common", "libpcre2-8-0"),
    "zsh": ("zsh", "zsh-common"),
}
_DOWNLOAD_S = 300


class Program(NamedTuple):
    """Its file, and what its environment needs besides."""

    file: str
    environ: Mapping[str, str]


def program(name: str) -> Program:
    """Skips the test where the program cannot be had, by name; fails it under CI."""
    return present(lambda: _found(name))


def present(find: Callable[[], T]) -> T:
    """Skips the test where `find` raises Absent; fails it under CI."""
    try:
        return find()
    except Absent as absent:
        if os.environ.get("CI"):
            pytest.fail(str(absent))
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
    places = ("bin", "usr/bin", "usr/sbin")
    file = next(path for place in places if (path := root / place / name).exists())
    libraries = {str(library.parent) for library in (root / "usr" / "lib").rglob("lib*.so*")}
    return Program(str(file), {"LD_LIBRARY_PATH": os.pathsep.join(libraries)} if libraries else {})


def _unpack(folder: Path, packages: tuple[str, ...]) -> None:
    downloads = folder / "downloads"
    downloads.mkdir()
    try:
        _run(["apt-get", "download", *packages], downloads)
    except subprocess.CalledProcessError:
        # The machine has no lists of packages: fetch them, into a folder that needs no rights.
        lists = downloads / "lists"
        (lists / "partial").mkdir(parents=True)
        own = ["-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={downloads}"]
        _run(["apt-get", *own, "update"], downloads)
        _run(["apt-get", *own, "download", *packages], downloads)
    for package in downloads.glob("*.deb"):
        _run(["dpkg", "-x", str(package), str(folder)], downloads)
    # Fish looks for its settings from where it is, one folder above its program.
    (folder / "usr" / "etc").symlink_to("../etc")
    shutil.rmtree(downloads)


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_DOWNLOAD_S, check=True)
