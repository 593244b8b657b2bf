"""Markers by folder: which tests are `unit`, and which are `soak`. Which files a run has to read."""

import re
from collections.abc import Generator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path, PurePath

import pytest

TESTS = Path(__file__).parent.parent

UNIT = (
    "plugins/latin",
    "plugins/plain",
    "plugins/pycld2",
    "plugins/pythainlp",
    "policies",
    "proxy/audio",
    "proxy/config",
    "speech_engine",
    "suite",
)
"""Their tests open no process, no port and no database: `tests.suite.guard` fails a test that does."""

NOT_UNIT = {
    "plugins/pythainlp/test_front_end.py": "one test looks at a fresh process",
    "proxy/audio/recordings": "a recording is decoded in a process of its own",
    "proxy/audio/test_libav.py": "one test looks at fresh processes",
    "proxy/config/test_engines.py": "one test asks the command line",
    "proxy/config/test_model_names.py": "one test asks a running worker",
    "proxy/config/test_plugin_settings.py": "some tests open a worker",
    "speech_engine/host": "hosts listen on sockets",
}
"""What lies in the folders above and is not held to their rule, each with its reason."""

RACE = (
    *("proxy/ledger", "proxy/storage", "proxy/queue", "proxy/hosts/cluster", "features/cluster"),
    *("features/payments", "features/users", "features/jobs", "features/erasure", "features/clones"),
    *("features/webhooks", "faults/test_idempotency.py", "faults/test_exact.py", "faults/test_free_rides.py"),
)
RACE_FILES = ("*races*", "*kill*", "*money*")
"""Here all tests have the marker `race`: chance is a fault of the product. Others say so themselves."""

BOTH_STORES = (
    *("proxy/ledger", "proxy/storage", "proxy/queue", "proxy/file_store/test_vault_killed.py"),
    *("features/jobs", "features/payments", "features/users", "features/erasure", "features/clones"),
    *("features/webhooks", "features/history", "faults/test_idempotency.py"),
)
"""Here all tests that ask for a store have the marker `both_stores`. Elsewhere the first one of a file runs
on both."""

SLOW_TWINS = Path(__file__).with_name("slow_twins.txt")
"""The tests whose run on PostgreSQL is slow: `tests.suite.statements` makes the list."""

FAST = "not slow and not soak and not clock"
SLOW = "slow and not soak and not clock"
FAST_CLOCK = "not slow and not soak and clock"
SLOW_CLOCK = "slow and not soak and clock"
"""What `make test` runs, and what `make slow` runs, each in two parts."""

_SLOW_FILE = re.compile(rb"^pytestmark = .*pytest\.mark\.slow\b", re.M)
_SLOW_TESTS = re.compile(rb"pytest\.mark\.(slow|kit)\b|pytest\.mark\.slow_but")
_LONG_ROWS = re.compile(rb"pytest\.mark\.soak|\bsoak\(")
SOAK = "soak"
"""A folder of this name holds what is long: `make soak` alone runs it. Elsewhere,
a test or a row of a table may have the marker."""


class Folders:
    """Marks what is collected. A run of one kind does not even read the other files."""

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line("markers", "unit: opens no process, no port and no database")
        config.addinivalue_line("markers", "slow: `make slow` runs it, and CI for each commit")
        config.addinivalue_line("markers", "kit(name): `make slow` runs it, too, with a real kit")
        config.addinivalue_line("markers", "slow_but(names): the tests of a file are slow, except these")
        config.addinivalue_line("markers", "soak: long; to be run before a release")
        config.addinivalue_line("markers", "clock: about real time; runs alone after all others")
        config.addinivalue_line("markers", "race: chance is a fault of the product: no second run")
        config.addinivalue_line("markers", "both_stores: about SQL; runs on SQLite and on PostgreSQL")

    @pytest.hookimpl(wrapper=True)
    def pytest_pycollect_makemodule(self, module_path: Path) -> Generator[None, pytest.Module, pytest.Module]:
        module = yield
        for mark in marks_of(_in_tests(module_path)):
            module.add_marker(mark)
        return module

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            mark = _mark_of(item.path)
            if mark and not item.get_closest_marker(SOAK):
                item.add_marker(mark)
            if _is_left_out(item):
                item.add_marker(pytest.mark.slow)

    def pytest_ignore_collect(self, collection_path: Path, config: pytest.Config) -> bool | None:
        return None if may_hold(collection_path, config.getoption("markexpr")) else True


def is_slow(test: pytest.Item) -> bool:
    """Whether `make test` leaves a test out."""
    return _is_left_out(test) or any(test.get_closest_marker(each) for each in ("slow", SOAK))


def _is_left_out(test: pytest.Item) -> bool:
    fast = test.get_closest_marker("slow_but")
    return fast is not None and test.name.partition("[")[0] not in fast.args


def may_hold(path: Path, wanted: str) -> bool:
    """Whether a file or folder may hold a test that an expression of markers wants, judged by its text."""
    return all(_may_hold(path, part) for part in wanted.split(" and "))


def _may_hold(path: Path, part: str) -> bool:
    inside, is_folder = _in_tests(path), path.is_dir()
    if part == "unit":
        return is_unit(inside) or (is_folder and _leads_to_unit(inside))
    if is_folder or part not in {"soak", "slow", "not slow", "clock"}:
        return True
    text = path.read_bytes() if path.suffix == ".py" else b""
    match part:
        case "soak":
            return is_soak(inside) or bool(_LONG_ROWS.search(text))
        case "not slow":
            return not _SLOW_FILE.search(text)
        case "slow":
            return bool(_SLOW_TESTS.search(text)) or str(inside) in _files_with_slow_twins()
        case _:
            return f"pytest.mark.{part}".encode() in text


def name_of(case: str) -> str:
    """Return the test of a case."""
    return case.partition("[")[0]


@cache
def slow_twins() -> frozenset[str]:
    return frozenset(SLOW_TWINS.read_text().splitlines())


@cache
def _files_with_slow_twins() -> frozenset[str]:
    return frozenset(test.partition("::")[0].removeprefix("tests/") for test in slow_twins())


def marks_of(path: PurePath) -> list[str]:
    """The markers that a file has by the folder in which it lies, or by its name."""
    is_race = _is_in(path, RACE) or any(fnmatch(path.name, each) for each in RACE_FILES)
    return ["race"] * is_race + ["both_stores"] * _is_in(path, BOTH_STORES)


@cache
def _mark_of(file: Path) -> pytest.MarkDecorator | None:
    path = _in_tests(file)
    if is_soak(path):
        return pytest.mark.soak
    return pytest.mark.unit if is_unit(path) else None


def is_soak(path: PurePath) -> bool:
    """Whether a path inside `tests` is long."""
    return SOAK in path.parts


def is_unit(path: PurePath) -> bool:
    """Whether a path inside `tests` is held to the rule of `UNIT`."""
    return _is_in(path, UNIT) and not _is_in(path, tuple(NOT_UNIT)) and not is_soak(path)


def _is_in(path: PurePath, table: tuple[str, ...]) -> bool:
    return any(path.is_relative_to(each) for each in table)


def _leads_to_unit(path: PurePath) -> bool:
    return any(PurePath(each).is_relative_to(path) for each in UNIT)


def _in_tests(path: Path) -> PurePath:
    """The path inside `tests`; the root itself for what is outside."""
    return path.relative_to(TESTS) if path.is_relative_to(TESTS) else PurePath()
