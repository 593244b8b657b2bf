"""Which tests run on both databases: all of what is about SQL, and the first of each other file.

The text of a statement is the same for both: elsewhere one test shows that the feature works on PostgreSQL.
"""

from __future__ import annotations

import pytest

from tests.databases import ALL_STORES
from tests.suite.folders import TESTS

FIXTURES = ("store_url", "new_store_url")
ABOUT_SQL = (
    *("/storage/", "/ledger/", "/work/", "/jobs/", "/runners/"),
    *("record", "lease", "kill", "exactly_once", "rotation", "journal"),
)
"""Parts of the paths of tests that run on each database."""


class Twins:
    def __init__(self) -> None:
        self._first: dict[str, str] = {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        named = {mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")}
        for fixture in FIXTURES:
            if fixture in metafunc.fixturenames and fixture not in named:
                metafunc.parametrize(fixture, self._stores_of(metafunc.definition), indirect=True)

    def _stores_of(self, test: pytest.Function) -> tuple[str, ...]:
        path = f"/{test.path.relative_to(TESTS).as_posix()}"
        is_first = self._first.setdefault(path, test.name) == test.name
        return ALL_STORES if is_first or any(part in path for part in ABOUT_SQL) else ALL_STORES[:1]
