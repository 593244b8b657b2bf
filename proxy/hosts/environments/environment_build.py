"""The build of an environment: a venv, its packages, a trial import with our code; then its name.

The folder has a hidden name until the build is complete. So a build that was killed is never used. The next
one goes on in that folder: pip keeps its downloads, and the packages that are whole stay.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import Distribution
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from proxy.hosts.environments import environments
from proxy.hosts.environments.environments import MANIFEST, Environment, EnvironmentRefused, Recipe

_LAST_LINES = 12
_LOOK_EVERY_S = 0.5
_BUILDING = ".building-"
_REMOVED = ".removed-"
_TRIAL = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
_TORCH_TRIAL = """
import sys, torch
asked, cuda, hip = sys.argv[1], torch.version.cuda, torch.version.hip
found = "cu" + cuda.replace(".", "") if cuda else "rocm" + ".".join(hip.split(".")[:2]) if hip else "cpu"
if not asked.startswith(("cu", "rocm", "cpu")):
    found = torch.__version__.partition("+")[2] or found
if asked != found:
    sys.exit(f"the variant {asked} of torch was asked for, but the indexes gave {found}")
"""
"""An index that lacks a variant is silent: pip then takes torch from the usual one."""
_RECORDS = "lib/python*/site-packages/*.dist-info/RECORD"
"""pip writes a package's list of files last."""

_BEGINS = "Installing collected packages: "
_DOWNLOADS = re.compile(r"\s*Downloading .*\(([\d.]+) ([kMG])B\)")
_MB = {"k": 0.001, "M": 1.0, "G": 1000.0}


class BuildProgress(NamedTuple):
    what: str
    step: int = 0
    of_steps: int = 0
    packages: int = 0
    of_packages: int = 0
    line: str = ""
    megabytes: float = 0.0
    title: str = ""

    def __str__(self) -> str:
        step = f"step {self.step} of {self.of_steps}: " if self.of_steps else ""
        step = f"{self.title}: {step}" if self.title else step
        so_far = f", {self.megabytes:,.0f} MB" if self.megabytes else ""
        so_far = f", {self.packages} of {self.of_packages} packages" if self.of_packages else so_far
        return f"{step}{self.what}{so_far}"


Say = Callable[[BuildProgress], None]
"""Called whenever a build gets further."""


class PackageCount:
    """The packages in an environment, and what a pip has downloaded for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before = self.now
        self.total = 0
        self.megabytes = 0.0

    @property
    def now(self) -> int:
        return sum(1 for _ in self._folder.glob(_RECORDS))

    def read(self, line: str) -> None:
        if line.startswith(_BEGINS):
            self.total = self._before + line.removeprefix(_BEGINS).count(",") + 1
        elif size := _DOWNLOADS.match(line):
            self.megabytes += float(size[1]) * _MB[size[2]]


def drop_incomplete_packages(site: Path) -> None:
    """Delete the packages that a killed pip left incomplete. The others are not installed again.

    A power cut may also leave a truncated file.
    """
    whole: set[Path] = set()
    for info in sorted(site.glob("*.dist-info")):
        files = Distribution.at(info).files or []
        sizes = {Path(str(file.locate())): file.size for file in files}
        if files and all(size is None or _size(path) == size for path, size in sizes.items()):
            whole.update(path.resolve() for path in sizes)
        else:
            shutil.rmtree(info)
    for path in [each for each in site.rglob("*") if each.is_file() or each.is_symlink()]:
        if path.resolve() not in whole:
            path.unlink()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1  # no record has this size


def build(recipe: Recipe, say: Say, index: str | None = None) -> tuple[Environment, bool]:
    """Build an environment. Return it, and whether it is new. Raise EnvironmentRefused with the log's end.

    `index` is used in addition to pip's own. A second build waits for the first and finds its environment. An
    environment of another plugin is tried before this plugin shares it.
    """
    try:
        with _locked(say) as lock:
            # `find_built` takes any variant of torch; here it must be this one.
            for found in environments.every():
                if found.recipe.shared == recipe.shared and found.has_python:
                    _Building(recipe, say, lock).share(found)
                    return found, False
            return _Building(recipe, say, lock).run(index), True
    except OSError as error:
        raise EnvironmentRefused(f"{environments.root()}: {error.strerror or error}") from None


def remove(plugin: str, unless: Callable[[Environment], bool]) -> list[Environment]:
    """Delete a plugin's environments, except those that `unless` names. Return the deleted ones.

    Environments of other installations stay.
    """
    with _locked(lambda _line: None):
        gone = [
            found
            for found in environments.every()
            if plugin in found.plugins and found.is_ours and not unless(found)
        ]
        for found in gone:
            # It is renamed first, so that a starting host never finds a half-deleted environment.
            hidden = found.folder.rename(found.folder.with_name(_REMOVED + found.folder.name))
            shutil.rmtree(hidden)
            found.folder.with_name(f"{found.folder.name}.log").unlink(missing_ok=True)
        for found in gone:
            _forget_unfinished(found.recipe)
        return gone


def _forget_unfinished(like: Recipe, keep: str = "") -> None:
    """Delete unfinished removals, and unfinished builds of the same packages except the folder `keep`.

    We hold the lock, so no other build works on them.
    """
    packages = like.name.rpartition("-")[0]
    for left in environments.root().glob(f"{_BUILDING}*"):
        if left.name != keep and left.name.removeprefix(_BUILDING).rpartition("-")[0] == packages:
            shutil.rmtree(left)
    for left in environments.root().glob(f"{_REMOVED}*"):
        shutil.rmtree(left)


@contextmanager
def _locked(say: Say) -> Iterator[int]:
    folder = environments.root()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            is_free = False
            while not is_free:
                # `say` may raise to end the wait: a build can take many minutes.
                say(BuildProgress("another build is under way; waiting for it"))
                time.sleep(_LOOK_EVERY_S)
                with suppress(BlockingIOError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    is_free = True
        yield descriptor
    finally:
        os.close(descriptor)


class _Building:
    def __init__(self, recipe: Recipe, say: Say, lock: int) -> None:
        self._recipe = recipe
        self._say = say
        self._lock = lock
        self._folder = environments.root() / f"{_BUILDING}{recipe.name}"
        self._python = str(self._folder / "bin" / "python")
        self._steps = 3 + bool(recipe.bare) + bool(recipe.torch)  # 3: the venv, its packages, the imports
        self._done = 0

    def run(self, index: str | None) -> Environment:
        _forget_unfinished(self._recipe, keep=self._folder.name)
        if not os.access(self._python, os.X_OK):
            shutil.rmtree(self._folder, ignore_errors=True)
        with open(self._log_file, "w", opener=_private) as log:
            venv = ("-I", "-m", "venv", "--without-pip", str(self._folder))
            self._step("making the environment", log, sys.executable, *venv)
            drop_incomplete_packages(self._site)
            try:
                self._step("installing the packages", log, *self._pip(index, self._recipe.packages))
                if self._recipe.bare:
                    bare = self._pip(index, self._recipe.bare, "--no-deps")
                    self._step("installing packages without what they ask for", log, *bare)
            finally:
                if not PackageCount(self._folder).now:
                    shutil.rmtree(self._folder)  # there is nothing to go on with
            try:
                python = self._try_imports(log)
                if self._recipe.torch:
                    self._step("trying torch", log, python, "-I", "-c", _TORCH_TRIAL, self._recipe.torch)
                return self._publish()
            except EnvironmentRefused:
                shutil.rmtree(self._folder)  # it is complete, and does not work
                raise

    def share(self, found: Environment) -> None:
        """Try the plugin's imports in an existing environment, unless they were tried before."""
        if environments.were_imports_tried(found, self._recipe):
            return
        self._folder, self._steps = found.folder, 1
        with open(self._log_file, "a", opener=_private) as log:
            self._try_imports(log)

    @property
    def _log_file(self) -> Path:
        return environments.root() / f"{self._recipe.name}.log"

    def _try_imports(self, log: IO[str]) -> str:
        """Try the plugin's imports together with the code of this installation. Return the Python for it."""
        self._refuse_copies()
        made = Environment(self._recipe.shared, self._folder)
        python = environments.view(made, self._recipe.links)
        self._step("trying the imports", log, python, "-I", "-c", _TRIAL, *self._recipe.imports)
        environments.note_plugin(made, self._recipe, self._recipe.imports)
        return python

    @property
    def _site(self) -> Path:
        (site,) = self._folder.glob("lib/python*/site-packages")
        return site

    def _pip(self, index: str | None, packages: tuple[str, ...], *options: str) -> tuple[str, ...]:
        constraints, asked = self._folder / "constraints.txt", ("--", *packages)
        constraints.write_text(self._recipe.constraints)
        if any("--hash=" in package for package in packages):
            # pip takes hashes from a file alone, and then needs one of each package.
            requirements = self._folder / "requirements.txt"
            requirements.write_text("\n".join(packages))
            asked = ("--require-hashes", f"--requirement={requirements}")
        return (
            *(sys.executable, "-I", "-m", "pip", "--disable-pip-version-check", f"--python={self._python}"),
            *("install", "--no-input", "--progress-bar=off", f"--constraint={constraints}"),
            *((f"--extra-index-url={index}",) if index else ()),
            *options,
            *asked,  # no option comes after `--`
        )

    def _refuse_copies(self) -> None:
        """Refuse a package whose modules have names of ours, since either could be imported."""
        for name, place in self._recipe.links.items():
            copy = self._site / (name if Path(place).is_dir() else Path(place).name)
            if copy.exists():
                raise EnvironmentRefused(
                    f"{self._recipe.plugin}: one of its packages brings a {copy.name} of its own"
                )

    def _publish(self) -> Environment:
        recipe = self._recipe.shared
        (self._folder / MANIFEST).write_bytes(msgspec.json.encode(recipe))
        final = environments.root() / recipe.name
        shutil.rmtree(final, ignore_errors=True)  # an older environment whose Python is gone
        return Environment(recipe, self._folder.rename(final))

    def _step(self, what: str, log: IO[str], *command: str) -> None:
        self._done += 1
        self._say(BuildProgress(what, self._done, self._steps))
        last: deque[str] = deque(maxlen=_LAST_LINES)
        count = PackageCount(self._folder)
        # The child inherits the lock: while a pip outlives its killed voxgate, no other build begins.
        with subprocess.Popen(
            command,
            cwd=environments.root(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Packages on our own PYTHONPATH would count as installed there.
            env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
            pass_fds=(self._lock,),
        ) as process:
            try:
                for line in _lines(process.stdout):
                    if line:
                        log.write(f"{line}\n")
                        last.append(line.rstrip())
                        count.read(line)
                    progress = BuildProgress(
                        what, self._done, self._steps, count.now, count.total, line.strip(), count.megabytes
                    )
                    self._say(progress)
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            log.flush()
            raise EnvironmentRefused(
                "\n  ".join([f"{self._recipe.plugin}: {what} failed; all of it is in {log.name}", *last])
            )


def _lines(output: IO[bytes] | None) -> Iterator[str]:
    """Yield the lines of a process, and "" regularly while it prints nothing, as pip does for minutes."""
    assert output is not None
    rest = b""
    while True:
        if not select.select((output,), (), (), _LOOK_EVERY_S)[0]:
            yield ""
            continue
        data = os.read(output.fileno(), 65_536)
        *lines, rest = (rest + data).split(b"\n")
        yield from (line.decode(errors="replace") for line in lines)
        if not data:
            break
    if rest:
        yield rest.decode(errors="replace")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
