"""The rule of unit tests, enforced: no process, no port, no database."""

import sys
from collections.abc import Generator

import pytest

FORBIDDEN = frozenset(
    {
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.system",
        "socket.bind",
        "socket.connect",
        "sqlite3.connect",
        "subprocess.Popen",
    }
)
"""Audit events of Python that a unit test must not cause."""


class Guard:
    """Fails a unit test that causes a forbidden event, even where the code under test hides the failure."""

    def __init__(self) -> None:
        self._watches = False
        self._seen: list[str] = []
        # An audit hook stays for the life of the process: it does nothing between unit tests.
        sys.addaudithook(self._look)

    def forgive(self) -> None:
        """Forget what the running test has caused: for the test of this guard."""
        self._seen.clear()

    def _look(self, event: str, _arguments: object) -> None:
        if self._watches and event in FORBIDDEN:
            self._seen.append(event)
            raise RuntimeError(f"a unit test must not cause {event}; see tests/suite/folders.py")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None]:
        return (yield from self._watched(item))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        return (yield from self._watched(item))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None]:
        return (yield from self._watched(item))

    def _watched(self, item: pytest.Item) -> Generator[None]:
        self._seen.clear()
        self._watches = item.get_closest_marker("unit") is not None
        try:
            yield
        finally:
            self._watches = False
        if self._seen:
            pytest.fail(f"a unit test must not cause {', '.join(self._seen)}", pytrace=False)
