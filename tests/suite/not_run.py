"""What a run leaves out: each test that is skipped is told, and where the project is judged none may be."""

from collections.abc import Generator

import pytest

from tests.suite.ci import is_ci


class NotRun:
    """Makes a failure of a skip in CI, and ends every run with how many cases were not run."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.skipped and not hasattr(report, "wasxfail") and is_ci():
            report.outcome = "failed"
            report.longrepr = f"CI skips nothing, and this was not run. {reason_of(report)}"
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        skipped = len(terminalreporter.getreports("skipped"))
        terminalreporter.write_line(f"{skipped} cases not run")


def reason_of(report: pytest.TestReport) -> str:
    """What the skipped test said."""
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
