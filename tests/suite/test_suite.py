"""The rules of the suite itself: which test is what, what a unit test may not do, and what a run reports."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePath
from typing import Literal

import pytest

from tests.suite import memory
from tests.suite.budget import by_file, lines_of, over_budget, seconds_by_file, with_kept
from tests.suite.ci import keep_to_ourselves
from tests.suite.collecting import import_tests
from tests.suite.folders import (
    FAST,
    FAST_CLOCK,
    NOT_UNIT,
    SLOW,
    SLOW_CLOCK,
    TESTS,
    UNIT,
    is_soak,
    is_unit,
    may_hold,
)
from tests.suite.guard import Guard
from tests.suite.not_run import NotRun
from tests.suite.prove_once import ENGINES, ProveOnce, digest_of, engine_of
from tests.suite.second_run import LASTS, MOST, SecondRun, is_race, overdue
from tests.tables import each_row


@each_row("path", [*UNIT, *NOT_UNIT])
def test_the_tables_name_what_is_there(path: str) -> None:
    assert (TESTS / path).exists()


def test_folders_decide_what_is_unit_and_what_is_soak() -> None:
    assert is_unit(PurePath("policies/routing/test_decision.py"))
    assert not is_unit(PurePath("faults/test_drain.py"))
    assert not any(is_unit(PurePath(path)) for path in NOT_UNIT)
    assert is_soak(PurePath("soak/test_kills.py"))
    assert not is_unit(PurePath("policies/soak/test_long.py"))


def test_each_file_is_read_by_a_command() -> None:
    parts = (FAST, SLOW, FAST_CLOCK, SLOW_CLOCK, "soak")
    read = {part: {path for path in TESTS.rglob("test_*.py") if may_hold(path, part)} for part in parts}
    assert set().union(*read.values()) == {*TESTS.rglob("test_*.py")}
    assert TESTS / "faults/test_cluster_kills.py" in read[SLOW] - read[FAST]
    assert TESTS / "policies/routing/test_decision.py" in read[FAST] - read[SLOW]
    assert TESTS / "proxy/telemetry/test_loop_watch.py" in read[FAST_CLOCK] & read[FAST]
    assert may_hold(TESTS / "faults", SLOW)
    makefile = (TESTS.parent / "Makefile").read_text()
    for marker in ("slow", "not slow"):
        assert f"$(call run_tests,{marker}" in makefile
    for part in (SLOW, SLOW_CLOCK):
        assert f'"{part.replace("slow", "$(1)", 1)}"' in makefile


def test_this_folder_is_unit(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("unit")


@each_row(
    ("outcomes", "is_proved"),
    [(["passed", "passed"], True), (["passed", "failed"], False), (["passed", "skipped"], False)],
)
def test_a_file_of_an_engine_is_proved_if_all_its_tests_have_passed(
    outcomes: list[Literal["passed", "failed", "skipped"]], is_proved: bool, tmp_path: Path
) -> None:
    part = ProveOnce(tmp_path)
    for file in ("tests/plugins/xtts/test_served.py", "tests/faults/test_drain.py"):
        for number, outcome in enumerate(outcomes):
            report = pytest.TestReport(f"{file}::test_{number}", (file, 1, ""), {}, outcome, None, "call")
            part.pytest_runtest_logreport(report)
    assert part.proved() == [TESTS / "plugins/xtts/test_served.py"] * is_proved


def test_each_engine_with_torch_has_files_that_are_run_once_for_the_same_code() -> None:
    found = {engine_of(path) for path in TESTS.rglob("test_*.py")}
    assert found == {*ENGINES, ""}


@each_row(
    ("file", "with_server"),
    [
        ("xtts/test_served.py", True),
        ("rvc/test_training_process.py", True),
        ("rvc/test_hosted.py", False),
        ("rvc/test_in_environment.py", False),
    ],
)
def test_what_is_about_the_server_is_proved_again_for_new_code_of_it(file: str, with_server: bool) -> None:
    path = TESTS / "plugins" / file
    engine = engine_of(path)
    note = ProveOnce(Path()).note_of(path, engine)
    assert note.name.endswith(digest_of(engine, with_server=with_server))


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


def test_the_seconds_of_files_that_were_left_out_are_kept() -> None:
    here, left_out = "tests/suite/test_suite.py", "tests/suite/test_index.py"
    kept = {here: 9.0, left_out: 4.0, "tests/suite/test_that_is_gone.py": 5.0}
    assert with_kept({here: 2.0}, kept) == {here: 2.0, left_out: 4.0}


@each_row(
    ("ci", "nodeid", "outcome"),
    [
        ("", "tests/faults/test_confined.py::test_a", "skipped"),
        ("false", "tests/faults/test_confined.py::test_a", "skipped"),
        ("true", "tests/faults/test_confined.py::test_a", "failed"),
    ],
)
def test_what_a_machine_lacks_fails_by_its_name_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, nodeid: str, outcome: str
) -> None:
    monkeypatch.delenv("VOXGATE_RUN_OF_CI", raising=False)
    monkeypatch.setenv("CI", ci)
    keep_to_ourselves()
    assert "CI" not in os.environ
    because = ("a.py", 1, "Skipped: no seccomp")
    report = pytest.TestReport(nodeid, ("a.py", 1, "a"), {}, "skipped", because, "setup")
    making = NotRun().pytest_runtest_makereport()
    next(making)
    with pytest.raises(StopIteration) as made:
        making.send(report)
    assert made.value.value.outcome == outcome
    assert "no seccomp" in str(made.value.value.longrepr)


def test_what_passes_alone_has_failed_by_chance_and_is_written_down(tmp_path: Path) -> None:
    asked: list[list[str]] = []
    file = tmp_path / "by_chance.txt"

    def run(passes: bool) -> SecondRun:
        def passes_alone(failed: Sequence[str]) -> bool:
            asked.append([*failed])
            return passes

        return SecondRun(passes_alone, file)

    calm, race = "tests/proxy/api/test_me.py::test_a[x y]", "tests/proxy/ledger/test_hold.py::test_b"
    assert run(passes=False).judge([calm]) == "it failed again"
    assert race in run(passes=True).judge([calm, race])
    assert "no chance" in run(passes=True).judge([calm] * (MOST + 1))
    assert (asked, file.exists()) == ([[calm]], False)
    assert run(passes=True).judge([calm]) == ""
    assert file.read_text().endswith(f" {calm}\n")


def test_a_test_that_fails_by_chance_is_mended_within_a_day() -> None:
    failed = datetime(2026, 1, 1, 12, tzinfo=UTC)
    line = f"{failed.isoformat()} tests/proxy/api/test_me.py::test_a[x y]"
    assert overdue(f"{line}\n\n", failed + LASTS) == []
    assert overdue(f"{line}\n", failed + LASTS + timedelta(seconds=1)) == [line]


def test_tests_of_money_storage_erasure_and_kills_get_no_second_run() -> None:
    named = {path for path in TESTS.rglob("test_*.py") if is_race(path.relative_to(TESTS.parent).as_posix())}
    for race in ("ledger", "storage", "erasure", "kills", "killed", "exactly_once", "money", "renewals"):
        files = [path for path in TESTS.rglob("test_*.py") if race in path.relative_to(TESTS).as_posix()]
        assert files, race
        assert set(files) <= named, race


def test_no_folder_in_memory_is_chosen_without_room(tmp_path: Path) -> None:
    assert memory.choose(tmp_path, room=0) == tmp_path
    assert memory.choose(tmp_path, room=2**80) is None
    assert memory.choose(tmp_path / "absent", room=0) is None


@each_row(("start", "order"), [(0, "abcd"), (1 / 3, "bcda"), (2 / 3, "cdab")])
def test_each_process_reads_the_tests_from_another_file_on(
    start: float, order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(sys, "seen_by_a_test", seen, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / f"shared_{order}"
    folder.mkdir()
    for name in ("__init__", "conftest", *(f"test_{each}" for each in "dcba")):
        (folder / f"{name}.py").write_text("import sys\nsys.seen_by_a_test.append(__name__)\n")
    import_tests(folder, start)
    names = [name.partition(".")[2] for name in seen]
    assert names == ["", "conftest", *(f"test_{each}" for each in order)]


def test_a_test_that_cannot_be_read_is_left_to_pytest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "test_a.py").write_text("raise ValueError")
    import_tests(folder, 0)
