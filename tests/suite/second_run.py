"""A second run for tests that failed in a whole run: each alone, after all others.

A fault of the product fails again. A test that passes alone has failed by chance: the run is good, its last
line names the test, and so does `by_chance.txt`. `scripts/check` prints that line until the message of a
commit names the test: it is mended, or why not. Where chance is a race (the marker `race`), only a wait that
ran out is run again.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.suite.budget import is_whole
from tests.suite.folders import FAST_CLOCK, SLOW_CLOCK, TESTS
from tests.waiting import RanOut

FILE = Path(__file__).parent / "by_chance.txt"
MOST = 10
"""A run with more failures has a fault."""
LASTS = timedelta(days=1)
_LIMIT_S = 900
_CRASHED = "???"
"""What xdist gives as the part of a test in which its process ended."""

Runner = Callable[[Sequence[str]], bool]


class SecondRun:
    def __init__(self, passes_alone: Runner | None = None, file: Path = FILE) -> None:
        self._passes_alone = passes_alone or run_alone
        self._file = file
        self._refused: dict[str, str] = {}
        self._by_chance: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._refused[report.nodeid] = self._refused.get(report.nodeid) or refusal(report)

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
        if verdict := self.judge():
            terminalreporter.write_line(verdict)
        else:
            session.exitstatus = pytest.ExitCode.OK

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        if self._by_chance:
            config.get_terminal_writer().line(self.last_line())

    def judge(self) -> str:
        """Return why this run has failed, or "" if all of its failures are chance."""
        failed = [*self._refused]
        if refused := [f"{name}: {why}" for name, why in self._refused.items() if why]:
            return f"no second run. {'; '.join(refused)}"
        if len(failed) > MOST:
            return f"no second run: {len(failed)} failures are no chance"
        if not self._passes_alone(failed):
            return "it failed again"
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._file.open("a") as file:
            file.writelines(f"{now} {name}\n" for name in failed)
        self._by_chance = failed
        return ""

    def last_line(self) -> str:
        return f"by chance: {', '.join(self._by_chance)}"


def refusal(report: pytest.TestReport) -> str:
    """Why a failure is no chance, or ""."""
    if report.when == _CRASHED:
        return "its process ended"
    if report.when == "teardown":
        return "it left something behind"
    has_run_out = RanOut.__name__ in getattr(getattr(report.longrepr, "reprcrash", None), "message", "")
    return "chance is a race here" if "race" in report.keywords and not has_run_out else ""


def run_alone(failed: Sequence[str]) -> bool:
    """Run these tests once more, in one process. Their output is that of the run."""
    command = [sys.executable, "-m", "pytest", "-n0", "-p", "no:cacheprovider", *failed]
    try:
        return subprocess.run(command, cwd=TESTS.parent, timeout=_LIMIT_S, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def unanswered(lines: str, messages_since: Callable[[str], str]) -> list[str]:
    """Return the lines whose test is in no message of a commit since then."""
    rows = [line for line in lines.splitlines() if line.strip()]
    return [row for row in rows if _function_of(row) not in messages_since(_time_of(row))]


def overdue(rows: Sequence[str], commit: datetime) -> bool:
    """Whether one of these lines is more than a day older than a commit."""
    return any(datetime.fromisoformat(_time_of(row)) + LASTS < commit for row in rows)


def _time_of(row: str) -> str:
    return row.partition(" ")[0]


def _function_of(row: str) -> str:
    return row.partition("::")[2].partition("[")[0]


def main() -> int:
    """Print what failed by chance and no commit since has named. It is a failure after a day."""
    lines = FILE.read_text() if FILE.exists() else ""
    rows = unanswered(lines, lambda since: _git("log", f"--since={since}", "--format=%B"))
    for row in rows:
        print(f"by chance, and no commit names it: {row}", file=sys.stderr)
    last = _git("log", "-1", "--format=%cI")
    return int(bool(last) and overdue(rows, datetime.fromisoformat(last)))


def _git(*words: str) -> str:
    found = subprocess.run(["git", *words], cwd=TESTS.parent, capture_output=True, text=True, check=False)
    return found.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
