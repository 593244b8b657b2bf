"""The worlds of a file of tests, each started when its first topic is played."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.corpus.worlds import World, opened

WorldOf = Callable[[str], World]


@pytest.fixture(scope="module")
def world_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorldOf]:
    worlds: dict[str, World] = {}
    with ExitStack() as stack:

        def found(name: str) -> World:
            if name not in worlds:
                worlds[name] = stack.enter_context(opened(name, tmp_path_factory.mktemp(name)))
            return worlds[name]

        yield found
