"""The rules of the suite itself: which test is what, what a unit test may not do, and what a run reports."""

import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePath
from typing import Any, Literal

import pytest
from _pytest._code.code import ExceptionChainRepr, ReprFileLocation, ReprTracebackNative

from tests.server import plain_lines
from tests.suite import memory, soak
from tests.suite.budget import by_file, lines_of, over_budget, seconds_by_file, with_kept
from tests.suite.ci import keep_to_ourselves
from tests.suite.collecting import import_tests
from tests.suite.folders import (
    BOTH_STORES,
    FAST,
    FAST_CLOCK,
    NOT_UNIT,
    RACE,
    SLOW,
    SLOW_CLOCK,
    TESTS,
    UNIT,
    Folders,
    is_soak,
    is_unit,
    marks_of,
    may_hold,
)
from tests.suite.guard import Guard
from tests.suite.not_run import NotRun
from tests.suite.prove_once import ENGINES, ProveOnce, digest_of, engine_of
from tests.suite.second_run import LASTS, MOST, SecondRun, overdue, refusal, unanswered
from tests.tables import each_row
from tests.waiting import RanOut, until


@each_row("path", [*UNIT, *NOT_UNIT, *RACE, *BOTH_STORES])
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
    assert TESTS / "features/console/test_frame.py" in read[SLOW] & read[FAST]
    assert TESTS / "features/monitoring/test_loop_watch.py" in read[FAST_CLOCK] & read[FAST]
    assert may_hold(TESTS / "faults", SLOW)
    makefile = (TESTS.parent / "Makefile").read_text()
    for marker in ("slow", "not slow"):
        assert f"$(call run_tests,{marker}" in makefile
    for part in (SLOW, SLOW_CLOCK):
        assert f'"{part.replace("slow", "$(1)", 1)}"' in makefile


def test_what_is_fast_in_a_slow_file_is_there() -> None:
    for file in TESTS.rglob("test_*.py"):
        for names in re.findall(r"pytest\.mark\.slow_but\(([^)]*)\)", text := file.read_text()):
            assert all(f"def {name}(" in text for name in re.findall(r'"(\w+)"', names)), file


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
    torch = [path for path in TESTS.rglob("test_*.py") if engine_of(path)]
    assert not any(may_hold(path, FAST) for path in torch)


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


CALM, RACY = "tests/proxy/api/test_me.py::test_a[x y]", "tests/proxy/ledger/test_hold.py::test_b"


def _failure(name: str, when: str = "call", marks: Sequence[str] = (), why: str = "assert 1") -> Any:
    file = name.partition("::")[0]
    crash = ExceptionChainRepr([(ReprTracebackNative([]), ReprFileLocation(file, 1, why), None)])
    keywords = dict.fromkeys(marks, 1)
    return pytest.TestReport(name, (file, 1, ""), keywords, "failed", crash, when)  # type: ignore[arg-type]


def _run(file: Path, failures: Sequence[pytest.TestReport], passes: bool, asked: list[str]) -> SecondRun:
    def passes_alone(failed: Sequence[str]) -> bool:
        asked.extend(failed)
        return passes

    run = SecondRun(passes_alone, file)
    for failure in failures:
        run.pytest_runtest_logreport(failure)
    return run


def test_what_passes_alone_has_failed_by_chance_and_is_written_down(tmp_path: Path) -> None:
    file, asked = tmp_path / "by_chance.txt", list[str]()
    assert _run(file, [_failure(CALM)], False, asked).judge() == "it failed again"
    assert RACY in _run(file, [_failure(CALM), _failure(RACY, marks=["race"])], True, asked).judge()
    many = [_failure(f"{CALM}{number}") for number in range(MOST + 1)]
    assert "no chance" in _run(file, many, True, asked).judge()
    assert (asked, file.exists()) == ([CALM], False)
    run = _run(file, [_failure(CALM)], True, asked)
    assert run.judge() == ""
    assert file.read_text().endswith(f" {CALM}\n")
    assert run.last_line() == f"by chance: {CALM}"


def test_only_a_wait_that_ran_out_is_run_again_where_chance_is_a_race() -> None:
    with pytest.raises(RanOut) as late:
        until(lambda: 0, within_s=0)
    ran_out = late.exconly()
    assert refusal(_failure(CALM)) == ""
    assert refusal(_failure(RACY, marks=["race"])) != ""
    assert refusal(_failure(RACY, "setup", ["race"], ran_out)) == ""
    for when in ("teardown", "???"):
        assert refusal(_failure(CALM, when)) != ""
        assert refusal(_failure(RACY, when, ["race"], ran_out)) != ""
    left_behind = [_failure(CALM), _failure(CALM, "teardown")]
    assert "left" in _run(Path(), left_behind, True, []).judge()


def test_a_test_that_fails_by_chance_is_shown_until_a_commit_names_it() -> None:
    failed = datetime(2026, 1, 1, 12, tzinfo=UTC)
    line = f"{failed.isoformat()} {CALM}"
    commits = {failed.isoformat(): "api: the look at oneself waits\n\ntest_a leant on a timer."}
    assert unanswered(f"{line}\n\n", commits.__getitem__) == []
    assert unanswered(f"{line}\n", lambda since: "") == [line]
    assert not overdue([line], failed + LASTS)
    assert overdue([line], failed + LASTS + timedelta(seconds=1))


@each_row(
    ("path", "marks"),
    [
        ("proxy/queue/test_renewals.py", {"race", "both_stores"}),
        ("features/payments/test_odd_cases.py", {"race", "both_stores"}),
        ("features/users/test_own_keys.py", {"race", "both_stores"}),
        ("proxy/engines/hosts/cluster/test_watch.py", {"race"}),
        ("features/own_voices/test_races.py", {"race"}),
        ("faults/test_supervisor_killed.py", {"race"}),
        ("faults/test_exact.py", {"race"}),
        ("proxy/api/test_access_matrix.py", set()),
    ],
)
def test_folders_and_names_of_files_decide_what_is_a_race_and_what_runs_on_both_stores(
    path: str, marks: set[str]
) -> None:
    assert (TESTS / path).exists()
    assert {*marks_of(PurePath(path))} == marks


def test_a_file_gives_its_marks_to_its_tests(request: pytest.FixtureRequest) -> None:
    module = pytest.Module.from_parent(request.session, path=TESTS / "proxy/queue/test_renewals.py")
    making = Folders().pytest_pycollect_makemodule(module.path)
    next(making)
    with pytest.raises(StopIteration):
        making.send(module)
    assert module.get_closest_marker("race")
    assert module.get_closest_marker("both_stores")


def test_the_slices_are_all_that_is_long_each_once() -> None:
    sliced = [(name.partition(" ")[0], file) for name, files in soak.slices().items() for file in files]
    held = [
        (kind, file) for kind in soak.SLICES for file in TESTS.rglob("test_*.py") if soak.is_of(kind, file)
    ]
    assert sorted(sliced) == sorted(held)
    places = {place for places in soak.SLICES.values() for place in places} - {"."}
    assert [place for place in places if not any(TESTS.glob(place))] == []
    makefile = (TESTS.parent / "Makefile").read_text()
    assert "\t$(BIN)/python -m tests.suite.soak all\n" in makefile
    assert "\t$(BIN)/python -m tests.suite.soak\n" in makefile


def test_the_slice_with_the_oldest_result_is_the_next() -> None:
    lines = soak.with_result("", "soak heard", "2026-01-02T00:00:00Z 9 passed 0a0a0a0a")
    lines = soak.with_result(lines, "torch plugins/rvc", "2026-01-01T00:00:00Z 9 failed-1 0a0a0a0a")
    names = ["soak heard", "torch plugins/rvc", "soak docs"]
    assert soak.oldest(lines, names) == ["soak docs", "torch plugins/rvc", "soak heard"]
    lines = soak.with_result(lines, "torch plugins/rvc", "2026-01-03T00:00:00Z 9 passed 0b0b0b0b")
    assert len(lines.splitlines()) == 2
    assert soak.oldest(lines, names) == ["soak docs", "soak heard", "torch plugins/rvc"]
    assert soak.stale(lines, names, datetime(2026, 1, 9, 12, tzinfo=UTC)) == ["soak heard", "soak docs"]


def test_a_slice_that_collects_nothing_has_failed() -> None:
    outcomes = [soak.outcome_of(status) for status in (0, 1, pytest.ExitCode.NO_TESTS_COLLECTED)]
    assert outcomes == ["passed", "failed-1", "nothing-collected"]


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


def test_a_line_of_a_log_that_is_no_json_is_seen(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text('{"event": "request.finished"}\n\nTraceback (most recent call last):\n7\n{"event":\n')
    assert plain_lines(log) == ["Traceback (most recent call last):", "7", '{"event":']
