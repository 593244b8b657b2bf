"""A second run for tests that failed in a whole run: each alone, after all others.

A fault of the product fails again. A test that passes alone has failed by chance: the run is good, and the
test gets a line in `by_chance.txt`, which `scripts/check` lets stand for a day. Tests of money, storage,
erasure and kills get no second run: chance is a race there.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.suite.budget import is_whole
from tests.suite.folders import FAST_CLOCK, SLOW_CLOCK, TESTS

FILE = Path(__file__).parent / "by_chance.txt"
MOST = 10
"""A run with more failures has a fault."""
RACES = ("ledger", "storage", "erasure", "kill", "exactly_once", "money", "/queue/")
"""Parts of the paths of tests that get no second run."""
LASTS = timedelta(days=1)
_LIMIT_S = 900

Runner = Callable[[Sequence[str]], bool]


class SecondRun:
    def __init__(self, passes_alone: Runner | None = None, file: Path = FILE) -> None:
        self._passes_alone = passes_alone or run_alone
        self._file = file
        self._failed: dict[str, None] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed[report.nodeid] = None

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> None:
        session = terminalreporter._session
        # Each process of a run comes here, and only the first one knows all failures.
        is_gate = is_whole(config) or config.option.markexpr in (FAST_CLOCK, SLOW_CLOCK)
        if session is None or hasattr(config, "workerinput") or not is_gate:
            return
        if session.exitstatus != pytest.ExitCode.TESTS_FAILED:
            return
        terminalreporter.section("second run")
        verdict = self.judge([*self._failed])
        terminalreporter.write_line(verdict or "all passed alone: they failed by chance, see by_chance.txt")
        if not verdict:
            session.exitstatus = pytest.ExitCode.OK

    def judge(self, failed: Sequence[str]) -> str:
        """Return why this run has failed, or "" if all of its failures are chance."""
        if races := [name for name in failed if is_race(name)]:
            return f"no second run, as chance is a race here: {', '.join(races)}"
        if len(failed) > MOST:
            return f"no second run: {len(failed)} failures are no chance"
        if not self._passes_alone(failed):
            return "it failed again"
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._file.open("a") as file:
            file.writelines(f"{now} {name}\n" for name in failed)
        return ""


def is_race(nodeid: str) -> bool:
    path = nodeid.partition("::")[0]
    return any(part in path for part in RACES)


def run_alone(failed: Sequence[str]) -> bool:
    """Run these tests once more, in one process. Their output is that of the run."""
    command = [sys.executable, "-m", "pytest", "-n0", "-p", "no:cacheprovider", *failed]
    try:
        return subprocess.run(command, cwd=TESTS.parent, timeout=_LIMIT_S, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def overdue(lines: str, commit: datetime) -> list[str]:
    """Return the lines that are more than a day older than a commit."""
    rows = [line for line in lines.splitlines() if line.strip()]
    return [row for row in rows if datetime.fromisoformat(row.split(maxsplit=1)[0]) + LASTS < commit]


def main() -> int:
    """Print what failed by chance more than a day before the commit that is checked out."""
    git = ["git", "log", "-1", "--format=%cI"]
    found = subprocess.run(git, cwd=TESTS.parent, capture_output=True, text=True, check=False)
    if found.returncode or not FILE.exists():
        return 0
    late = overdue(FILE.read_text(), datetime.fromisoformat(found.stdout.strip()))
    for line in late:
        print(f"mend or remove this test, it fails by chance: {line}", file=sys.stderr)
    return int(bool(late))


if __name__ == "__main__":
    sys.exit(main())
