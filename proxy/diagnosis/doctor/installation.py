"""Is voxgate installed whole: the Python it needs, and each package in a version that it knows.

Read from what the installer wrote down, so it works where importing would not.
"""

from __future__ import annotations

import operator
import platform
import re
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import NamedTuple

from proxy.diagnosis.doctor.result import Result, ok, wrong

DISTRIBUTION = "voxgate"
_AGAIN = "install voxgate again: make install, or pip install --upgrade voxgate"

_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)\s*(\[[^\]]*\])?\s*(?P<bounds>[^;]*)(;\s*(?P<marker>.*))?")
_BOUND = re.compile(r"\s*(>=|<=|==|!=|<|>)\s*(\d+(?:\.\d+)*)\s*")
_COMPARE: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}


class Requirement(NamedTuple):
    """A package that the server itself needs, and the bounds of its version."""

    name: str
    bounds: str

    def admits(self, version: str) -> bool:
        has = _release(version)
        return all(_COMPARE[sign](has, _release(bound)) for sign, bound in _BOUND.findall(self.bounds))


def python() -> Iterator[Result]:
    has = platform.python_version()
    installed = _distribution()
    bounds = (installed and installed.metadata["Requires-Python"]) or ""
    if Requirement("Python", bounds).admits(has):
        yield ok("python", has)
    else:
        yield wrong("python", f"{has}, voxgate needs {bounds}", "make install PYTHON=/path/to/such/a/python")


def packages() -> Iterator[Result]:
    if _distribution() is None:
        yield wrong("packages", "voxgate itself is not installed here, so no plugin is either", _AGAIN)
        return
    needed = requirements()
    faults = [fault for requirement in needed if (fault := _fault(requirement))]
    yield from (wrong("packages", fault, _AGAIN) for fault in faults)
    if not faults:
        yield ok("packages", f"{len(needed)} there, in versions that fit")


def requirements() -> list[Requirement]:
    """Those without which the server does not run; extras are their plugins' affair."""
    found = []
    installed = _distribution()
    for line in (installed and installed.requires) or ():
        match = _REQUIREMENT.fullmatch(line)
        if match is not None and "extra" not in (match["marker"] or ""):
            found.append(Requirement(match["name"], match["bounds"].strip(" ()")))
    return found


def _fault(requirement: Requirement) -> str:
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{requirement.name} is missing"
    if requirement.admits(version):
        return ""
    return f"{requirement.name} is {version}, voxgate needs {requirement.bounds}"


def _distribution() -> metadata.Distribution | None:
    return next(iter(metadata.distributions(name=DISTRIBUTION)), None)


def _release(version: str) -> tuple[int, ...]:
    """`2.0` and `2` are the same; what follows the numbers (rc1, +cpu) does not matter here."""
    match = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(part) for part in match[0].split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
