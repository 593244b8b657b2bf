"""One server for all that is heard here."""

from collections.abc import Iterator

import pytest

from tests.proxy.speech.relay.ears import CONFIG
from tests.server import Server, running


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("relay"), CONFIG) as server:
        yield server
