"""A plugin of pytest: which functions of the console the browser ran, by Chromium's own coverage.

`pytest -p tests.features.console.reached tests/features/console` runs tests that know nothing of it. Each tab
counts from its start. A page that goes takes its counts along, so they are taken before, and at each look.
The variable `VOXGATE_TEST_REACHED` names the file for the result: the places of the functions of each script,
and whether they ran. A function inside one that never ran is unknown to the browser, and has no row.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from proxy.features import console
from tests.browser import Tab
from tests.features.console.console_page import Reader

FILE = "VOXGATE_TEST_REACHED"
ROOT = Path(__file__).parents[3]
_WEB = Path(console.__file__).with_name("web")
_SCRIPT = re.compile(r"/console/\w+/((?:core|pages)/[\w/]+\.js|main\.js)$")
_tabs: list[Tab] = []
_ran: dict[str, dict[str, bool]] = {}
_start, _open, _look = Tab.__init__, Tab.open, Reader.assert_readable


def _started(tab: Tab, *arguments: Any) -> None:
    _start(tab, *arguments)
    tab.call("Profiler.enable")
    tab.call("Profiler.startPreciseCoverage", callCount=True, detailed=False)
    _tabs.append(tab)


def _opened(tab: Tab, url: str) -> None:
    _take(tab)
    _open(tab, url)


def _looked(reader: Reader, *arguments: Any, **named: Any) -> None:
    _take(reader.tab)
    _look(reader, *arguments, **named)


def _take(tab: Tab) -> None:
    for script in tab.call("Profiler.takePreciseCoverage")["result"]:
        if found := _SCRIPT.search(script["url"]):
            functions = _ran.setdefault(found[1], {})
            for each in script["functions"]:
                (first,) = each["ranges"]
                place = f"{each['functionName']} {first['startOffset']}"
                functions[place] = functions.get(place, False) or first["count"] > 0


def pytest_configure() -> None:
    setattr(Tab, "__init__", _started)  # noqa: B010 - a type checker forbids the plain way
    setattr(Tab, "open", _opened)  # noqa: B010 - the same
    setattr(Reader, "assert_readable", _looked)  # noqa: B010 - the same


@pytest.hookimpl(trylast=True)
def pytest_runtest_call() -> None:
    for tab in [*_tabs]:
        try:
            _take(tab)
        except Exception:  # noqa: BLE001 - a browser that a test has closed has told already what it ran
            _tabs.remove(tab)


def pytest_unconfigure() -> None:
    Path(os.environ[FILE]).write_text(json.dumps(_ran))


def functions_reached(folder: Path, *arguments: str) -> tuple[int, list[str]]:
    """Run the tests of the console. Return how many functions it has, and those that never ran."""
    file = folder / "reached.json"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.features.console.reached",
        "-p",
        "no:cacheprovider",
    ]
    environ = {**os.environ, FILE: str(file)}
    subprocess.run([*command, *arguments, "tests/features/console"], cwd=ROOT, env=environ, check=True)
    ran: dict[str, dict[str, bool]] = json.loads(file.read_text())
    scripts = {path.relative_to(_WEB).as_posix() for path in _WEB.rglob("*.js") if "vendor" not in path.parts}
    missed = [
        f"{script} {place}" for script, places in ran.items() for place, did in places.items() if not did
    ]
    missed += [f"{script}, which was never loaded" for script in scripts - {*ran}]
    return sum(map(len, ran.values())), sorted(missed)
