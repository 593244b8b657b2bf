"""The environment that `make serve` installs, as imports see it: a process in it has no package of the tests.

`refused_modules` says what is missing there. A `sitecustomize.py`, in a folder of PYTHONPATH, makes each
Python of a shell refuse it.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

from tests.docs.pages import PAGES, ROOT

_LOCKED = re.compile(r"^([\w.-]+)==", re.MULTILINE)
_INSTALLED = re.compile(r"pip install \"?([\w.-]+)")
_NAME = re.compile(r"^[\w.-]+")
_HOOK = """
import sys

class _Refusing:
    def find_spec(self, name, path=None, target=None):
        if name in REFUSED:
            raise ModuleNotFoundError(f"No module named {name!r}: make serve does not install it", name=name)

sys.meta_path.insert(0, _Refusing())
"""


def environ(folder: Path) -> dict[str, str]:
    """Variables of a process that has what `make serve` installs, and what a page says to install."""
    (folder / "sitecustomize.py").write_text(f"REFUSED = {sorted(refused_modules())!r}\n{_HOOK}")
    return {"PYTHONPATH": str(folder)}


@cache
def refused_modules() -> frozenset[str]:
    """The modules that the tests alone have installed."""
    there = _locked("serve") | _locked("build")
    there |= _with_needs({_plain(name) for page in PAGES for name in _INSTALLED.findall(page.read_text())})
    tests_own = _locked("test") - there
    owners = metadata.packages_distributions()
    return frozenset(name for name, found in owners.items() if {_plain(each) for each in found} <= tests_own)


def _locked(name: str) -> set[str]:
    return {_plain(each) for each in _LOCKED.findall((ROOT / "locks" / f"{name}.txt").read_text())}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _with_needs(names: Iterable[str]) -> set[str]:
    """Return distributions, and all that they need here."""
    needs: Mapping[str, list[str]] = {
        _plain(each.metadata["Name"]): [
            _plain(found[0])
            for need in each.requires or ()
            if "extra ==" not in need and (found := _NAME.match(need))
        ]
        for each in metadata.distributions()
    }
    known, waiting = set[str](), [*names]
    while waiting:
        if (name := waiting.pop()) not in known:
            known.add(name)
            waiting += needs.get(name, ())
    return known
