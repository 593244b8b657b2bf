"""`voxgate check --plugin` inside the test's process, which has none of the folder's modules afterwards."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.proxy.cli.test_main import Ran, Run


def check(run: Run, folder: Path, *more: str) -> Ran:
    with _as_before(folder.name):
        return run("check", "--plugin", str(folder), "--json", *more)


def findings(run: Run, folder: Path, *more: str) -> tuple[int, list[dict[str, Any]]]:
    """The status, and the rows."""
    ran = check(run, folder, *more)
    assert "Traceback" not in ran.err, ran.err
    # Before the answer are log lines, which a process of its own would have on stderr.
    rows: list[dict[str, Any]] = json.loads(ran.out[ran.out.index("{\n") :])["data"]
    return ran.status, rows


@contextmanager
def _as_before(package: str) -> Iterator[None]:
    # Some plugins bear the name of a library, which other tests may have loaded.
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == package}
    path, before = list(sys.path), set(sys.modules)
    try:
        yield
    finally:
        added = tuple(set(sys.path) - set(path))
        sys.path[:] = path
        for name in sys.modules.keys() - before:
            module = sys.modules[name]
            places = [getattr(module, "__file__", None) or "", *getattr(module, "__path__", ())]
            is_here = any(place.startswith(added) for place in places)
            # The plugins that are installed are in the package `plugins`, and stay.
            if is_here and not name.startswith("plugins."):
                del sys.modules[name]
        sys.modules.update(hidden)
