"""One pair of servers for all client tests: they ask for nothing that would be in each other's way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.servers import Servers, both


@pytest.fixture(scope="package")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with both(tmp_path_factory.mktemp("clients")) as pair:
        yield pair
