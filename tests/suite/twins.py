"""Which tests run twice: on both databases, or with a stand-in and with the kit that it stands for.

On both databases run those with the marker `both_stores`, and the first of each other file: the text of a
statement is the same for both, so elsewhere one test shows that the feature works on PostgreSQL. The run on
PostgreSQL is slow if `slow_twins.txt` has the test: other cases send its statements there.

A test of `make test` with the marker `kit` has a stand-in there. `make slow` runs it with the kit.
"""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.environments import stand_in
from tests.databases import ALL_STORES
from tests.suite.folders import is_slow, name_of, slow_twins

FIXTURES = ("store_url", "new_store_url")


class Twins:
    def __init__(self) -> None:
        self._first: dict[Path, str] = {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        named = {mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")}
        for fixture in FIXTURES:
            if fixture in metafunc.fixturenames and fixture not in named:
                metafunc.parametrize(fixture, self._stores_of(metafunc.definition), indirect=True)
        kit = metafunc.definition.get_closest_marker("kit")
        if kit and not is_slow(metafunc.definition):
            metafunc.fixturenames.append("kit")
            metafunc.parametrize(
                "kit",
                [
                    pytest.param("", id=pytest.HIDDEN_PARAM),
                    pytest.param(kit.args[0], marks=pytest.mark.slow),
                ],
            )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, bool, bool]:
        stand_in(not is_slow(item))
        try:
            return (yield)
        finally:
            stand_in(False)

    def _stores_of(self, test: pytest.Function) -> list[Any]:
        is_first = self._first.setdefault(test.path, test.name) == test.name
        if not (is_first or test.get_closest_marker("both_stores")):
            return [*ALL_STORES[:1]]
        marks = [pytest.mark.slow] * (name_of(test.nodeid) in slow_twins())
        return [*ALL_STORES[:1], *(pytest.param(each, marks=marks) for each in ALL_STORES[1:])]
