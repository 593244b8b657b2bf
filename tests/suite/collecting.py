"""How a process finds its tests: without the collector, and in a whole run with the work shared out.

To read the tests of a fresh clone takes 17 s of CPU time, ten of them to rewrite their asserts. Each process
of a run needs all tests: so each begins at another file, and finds the others rewritten.
"""

import gc
import importlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler.loadfile import LoadFileScheduling  # type: ignore[import-untyped]

from tests.suite.budget import is_whole
from tests.suite.folders import TESTS, may_hold

_SELDOM = (700, 10, 200)
"""Young objects are collected as ever, as some tests leave a generator to the collector. All objects are
looked through less often: that took a twentieth of a run's CPU time."""
_TOGETHER = {
    "tests/features/console/": "tests/features/console/",
    "tests/test_shape.py": "tests/sources",
    "tests/test_words.py": "tests/sources",
    "tests/faults/test_several_workers.py": "tests/faults/cluster",
    "tests/faults/test_access_over_workers.py": "tests/faults/cluster",
    "tests/faults/test_kept_by_workers.py": "tests/faults/cluster",
    "tests/faults/test_exact.py": "tests/faults/cluster",
    "tests/faults/test_plugins.py": "tests/faults/odd",
    "tests/faults/test_environment_missing.py": "tests/faults/odd",
    "tests/faults/test_crash_loop.py": "tests/faults/odd",
}
"""The files of one group run in one process: they share a server, a browser, or what they read."""


class _Scheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    def _split_scope(self, nodeid: str) -> str:
        groups = (group for begin, group in _TOGETHER.items() if nodeid.startswith(begin))
        return next(groups, None) or str(super()._split_scope(nodeid))


class Collecting:
    """Imports the tests in this process's order, before pytest does so in the order of their names."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> LoadFileScheduling:
        return _Scheduling(config, log)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        # A million objects, which stay to the end: no collection needs to look at them, now or later.
        gc.disable()
        try:
            of_xdist = getattr(session.config, "workerinput", None)
            if of_xdist and is_whole(session.config):
                number = int(of_xdist["workerid"].removeprefix("gw"))
                import_tests(TESTS, number / of_xdist["workercount"], session.config.option.markexpr)
            return (yield)
        finally:
            gc.collect()
            gc.freeze()
            gc.set_threshold(*_SELDOM)
            gc.enable()


def import_tests(tests: Path, start: float, wanted: str = "") -> None:
    """Import the wanted tests below a folder, from this share of their list on, and then those before it."""
    files = [path for path in sorted(tests.rglob("test_*.py")) if may_hold(path, wanted)]
    first = int(start * len(files))
    # What a conftest says about the modules beside it must be said before they are read.
    for path in [*sorted(tests.rglob("conftest.py")), *files[first:], *files[:first]]:
        name = ".".join(path.relative_to(tests.parent).with_suffix("").parts)
        try:
            importlib.import_module(name)
        except Exception:  # noqa: BLE001 - pytest imports it again, and tells what is wrong with it
            return
