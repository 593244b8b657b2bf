"""Which tests run on both databases: those with the marker `both_stores`, and the first of each other file.

The text of a statement is the same for both: elsewhere one test shows that the feature works on PostgreSQL.
"""

from pathlib import Path

import pytest

from tests.databases import ALL_STORES

FIXTURES = ("store_url", "new_store_url")


class Twins:
    def __init__(self) -> None:
        self._first: dict[Path, str] = {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        named = {mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")}
        for fixture in FIXTURES:
            if fixture in metafunc.fixturenames and fixture not in named:
                metafunc.parametrize(fixture, self._stores_of(metafunc.definition), indirect=True)

    def _stores_of(self, test: pytest.Function) -> tuple[str, ...]:
        is_first = self._first.setdefault(test.path, test.name) == test.name
        return ALL_STORES if is_first or test.get_closest_marker("both_stores") else ALL_STORES[:1]
