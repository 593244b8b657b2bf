"""The budget of a run: which files and tests are over it. A report, never a failure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath

import pytest

from tests.suite.folders import FAST, SLOW, TESTS, is_soak

LIMITS_S = {"not slow": (5.0, 2.0), "slow": (15.0, 5.0)}
"""The most seconds of a file and of a test, for fast tests and for slow ones."""
KEPT = Path(__file__).parent / "file_seconds.txt"
"""Seconds by file, longest first. Each whole run writes it; in the next, the long files begin first."""

_WORTH_KEEPING_S = 1.0


class Budget:
    """Adds up what each test took, in every process of the run, and starts the long files first."""

    def __init__(self) -> None:
        self._tests: defaultdict[str, float] = defaultdict(float)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        kept = _kept()
        # The sort is stable: inside a file the tests stay in order.
        items.sort(key=lambda item: -kept.get(item.nodeid.partition("::")[0], 0.0))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # The time of a subtest is part of its test's.
        if not isinstance(report, pytest.SubtestReport):
            self._tests[report.nodeid] += report.duration

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> None:
        tests = {name: spent for name, spent in self._tests.items() if not _is_soak(name)}
        files = by_file(tests)
        if files and is_whole(config):
            KEPT.write_text(lines_of(with_kept(files, _kept())))
        file_s, test_s = LIMITS_S.get(config.option.markexpr.partition(" and ")[0], LIMITS_S["slow"])
        over = [*over_budget(files, file_s), *over_budget(tests, test_s)]
        terminalreporter.section("budget")
        for name, spent in over:
            terminalreporter.write_line(f"{spent:7.1f} s  {name}")
        terminalreporter.write_line(
            f"budget: a file {file_s:.0f} s, a test {test_s:.0f} s; over it: {len(over)} of "
            f"{len(files)} files and {len(tests)} tests"
        )


def is_whole(config: pytest.Config) -> bool:
    """Whether this run takes all that `make test` or `make slow` takes: a part knows too little."""
    is_narrowed = config.option.keyword or config.option.maxfail or config.getoption("lf", False)
    is_all = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return is_all and not is_narrowed and config.option.markexpr in (FAST, SLOW)


def by_file(tests: Mapping[str, float]) -> dict[str, float]:
    """The sum of each file, from seconds by test."""
    files: defaultdict[str, float] = defaultdict(float)
    for name, spent in tests.items():
        files[name.partition("::")[0]] += spent
    return dict(files)


def over_budget(spent: Mapping[str, float], limit_s: float) -> list[tuple[str, float]]:
    """Those that took longer than the limit, longest first."""
    return _longest_first((name, seconds) for name, seconds in spent.items() if seconds > limit_s)


def with_kept(files: Mapping[str, float], kept: Mapping[str, float]) -> dict[str, float]:
    """The seconds of a run, and those of before of the files that it left out."""
    return {name: spent for name, spent in kept.items() if (TESTS.parent / name).exists()} | {**files}


def lines_of(files: Mapping[str, float]) -> str:
    """The text of the kept file; short ones are not worth a line."""
    rows = _longest_first((name, spent) for name, spent in files.items() if spent >= _WORTH_KEEPING_S)
    return "".join(f"{spent:.1f} {name}\n" for name, spent in rows)


def seconds_by_file(lines: str) -> dict[str, float]:
    """What `lines_of` wrote."""
    rows = (line.split(maxsplit=1) for line in lines.splitlines())
    return {name: float(spent) for spent, name in rows}


def _kept() -> dict[str, float]:
    return seconds_by_file(KEPT.read_text()) if KEPT.exists() else {}


def _longest_first(rows: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def _is_soak(nodeid: str) -> bool:
    return is_soak(PurePath(nodeid.partition("::")[0]))
