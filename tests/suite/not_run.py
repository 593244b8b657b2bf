"""What a run leaves out: each test that is skipped is told, and where the project is judged none may be."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.suite.ci import is_ci

MAY_BE_SKIPPED = {
    "tests/clients/test_checklist.py::test_a_row_that_nobody_proves_yet": "the row itself says why not",
}
"""Tests that say by a skip what is not there yet. In CI all others run, or fail and say what they lack."""


class NotRun:
    """Makes a failure of a skip in CI, and ends every run with how many cases were not run."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.skipped and not hasattr(report, "wasxfail") and is_refused(report.nodeid):
            report.outcome = "failed"
            report.longrepr = f"CI skips nothing, and this was not run. {reason_of(report)}"
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        skipped = len(terminalreporter.getreports("skipped"))
        terminalreporter.write_line(f"{skipped} cases not run")


def is_refused(nodeid: str) -> bool:
    """Whether this test must not be skipped here."""
    return is_ci() and nodeid.partition("[")[0] not in MAY_BE_SKIPPED


def reason_of(report: pytest.TestReport) -> str:
    """What the skipped test said."""
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
