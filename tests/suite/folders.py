"""Markers by folder: which tests are `unit`, and which are `soak`."""

from __future__ import annotations

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
    "proxy/config/test_engines.py": "one test asks the command line",
    "proxy/config/test_model_names.py": "one test asks a running worker",
    "proxy/config/test_plugin_settings.py": "some tests open a worker",
    "speech_engine/host": "hosts listen on sockets",
}
"""What lies in the folders above and is not held to their rule, each with its reason."""

_CLOCK = b"pytest.mark.clock"
_LONG_ROWS = (b"pytest.mark.soak", b"soak(")
SOAK = "soak"
"""A folder of this name holds what is long; `make test` leaves it out, `make soak` runs it alone. Elsewhere,
a test or a row of a table may have the marker."""


class Folders:
    """Marks what is collected. A run of one kind does not even read the other files."""

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line("markers", "unit: opens no process, no port and no database")
        config.addinivalue_line("markers", "soak: long; to be run before a release")
        config.addinivalue_line("markers", "clock: about real time; runs alone after all others")

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            mark = _mark_of(item.path)
            if mark and not item.get_closest_marker(SOAK):
                item.add_marker(mark)

    def pytest_ignore_collect(self, collection_path: Path, config: pytest.Config) -> bool | None:
        path, is_folder = _in_tests(collection_path), collection_path.is_dir()
        match config.getoption("markexpr"):
            case "unit":
                wanted = is_unit(path) or (is_folder and _leads_to_unit(path))
            case "soak":
                wanted = is_folder or is_soak(path) or (path.suffix == ".py" and _has_long(collection_path))
            case "clock and not soak":
                wanted = is_folder or (path.suffix == ".py" and _CLOCK in collection_path.read_bytes())
            case _:
                wanted = True
        return None if wanted else True


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


def _has_long(file: Path) -> bool:
    text = file.read_bytes()
    return any(mark in text for mark in _LONG_ROWS)


def _is_in(path: PurePath, table: tuple[str, ...]) -> bool:
    return any(path.is_relative_to(each) for each in table)


def _leads_to_unit(path: PurePath) -> bool:
    return any(PurePath(each).is_relative_to(path) for each in UNIT)


def _in_tests(path: Path) -> PurePath:
    """The path inside `tests`; the root itself for what is outside."""
    return path.relative_to(TESTS) if path.is_relative_to(TESTS) else PurePath()
