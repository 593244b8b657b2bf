"""The packages in an environment that is being built: which are whole, and how many are still to come."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.metadata import Distribution
from pathlib import Path
from typing import NamedTuple

_RECORDS = "lib/python*/site-packages/*.dist-info/RECORD"
"""pip writes a package's list of files last."""

_BEGINS = "Installing collected packages: "


class BuildProgress(NamedTuple):
    """How far a build is: its step of so many, and the packages that are there. 0: not known yet.

    `line` is what pip has just said.
    """

    what: str
    step: int = 0
    of_steps: int = 0
    packages: int = 0
    of_packages: int = 0
    line: str = ""

    def __str__(self) -> str:
        step = f"step {self.step} of {self.of_steps}: " if self.of_steps else ""
        packages = f", {self.packages} of {self.of_packages} packages" if self.of_packages else ""
        return f"{step}{self.what}{packages}"


Say = Callable[[BuildProgress], None]
"""Called whenever a build gets further."""


class PackageCount:
    """The packages in an environment, and how many there will be as soon as pip has said it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before = self.now
        self.total = 0

    def __repr__(self) -> str:
        return f"<PackageCount {self.now} of {self.total}>"

    @property
    def now(self) -> int:
        return sum(1 for _ in self._folder.glob(_RECORDS))

    def read(self, line: str) -> None:
        if line.startswith(_BEGINS):
            self.total = self._before + line.removeprefix(_BEGINS).count(",") + 1


def drop_halves(site: Path) -> None:
    """Delete what a killed pip left of a package. What stays is whole, and need not be installed again.

    A file may also be cut short, if the machine lost its power.
    """
    whole: set[Path] = set()
    for info in sorted(site.glob("*.dist-info")):
        files = Distribution.at(info).files or []
        places = {Path(str(file.locate())): file.size for file in files}
        if files and all(size is None or _size(place) == size for place, size in places.items()):
            whole.update(place.resolve() for place in places)
        else:
            shutil.rmtree(info)
    for path in [each for each in site.rglob("*") if each.is_file() or each.is_symlink()]:
        if path.resolve() not in whole:
            path.unlink()


def _size(place: Path) -> int:
    try:
        return place.stat().st_size
    except OSError:
        return -1
