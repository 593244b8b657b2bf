"""The rules of the suite itself: which test is what, what a unit test may not do, and what a run reports."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PurePath

import pytest

from tests.suite import memory
from tests.suite.budget import by_file, lines_of, over_budget, seconds_by_file
from tests.suite.folders import NOT_UNIT, TESTS, UNIT, is_soak, is_unit
from tests.suite.guard import Guard


@pytest.mark.parametrize("path", [*UNIT, *NOT_UNIT])
def test_the_tables_name_what_is_there(path: str) -> None:
    assert (TESTS / path).exists()


def test_folders_decide_what_is_unit_and_what_is_soak() -> None:
    assert is_unit(PurePath("policies/routing/test_decision.py"))
    assert not is_unit(PurePath("faults/test_drain.py"))
    assert not any(is_unit(PurePath(path)) for path in NOT_UNIT)
    assert is_soak(PurePath("soak/test_kills.py"))
    assert not is_unit(PurePath("policies/soak/test_long.py"))


def test_this_folder_is_unit(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("unit")


def _bind() -> None:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))


@pytest.mark.parametrize(
    ("event", "act"),
    [
        ("subprocess.Popen", lambda: subprocess.run([sys.executable, "-V"])),
        ("socket.bind", _bind),
        ("sqlite3.connect", lambda: sqlite3.connect(":memory:")),
    ],
)
def test_a_unit_test_is_stopped_before_it_opens_something(
    event: str, act: Callable[[], object], request: pytest.FixtureRequest
) -> None:
    with pytest.raises(RuntimeError, match=event):
        act()
    # This test did it on purpose.
    guard = request.config.pluginmanager.get_plugin("guard")
    assert isinstance(guard, Guard)
    guard.forgive()


def test_the_budget_lists_the_longest_first() -> None:
    spent = {"a.py::one": 4.0, "a.py::two": 3.0, "b.py::one": 6.0, "c.py::one": 1.0}
    assert by_file(spent) == {"a.py": 7.0, "b.py": 6.0, "c.py": 1.0}
    assert over_budget(by_file(spent), 5.0) == [("a.py", 7.0), ("b.py", 6.0)]


def test_the_seconds_of_files_are_kept_and_read_again() -> None:
    assert seconds_by_file(lines_of({"short.py": 0.4, "mid.py": 2.0, "long.py": 9.04})) == {
        "long.py": 9.0,
        "mid.py": 2.0,
    }


def test_no_folder_in_memory_is_chosen_without_room(tmp_path: Path) -> None:
    assert memory.choose(tmp_path, room=0) == tmp_path
    assert memory.choose(tmp_path, room=2**80) is None
    assert memory.choose(tmp_path / "absent", room=0) is None
