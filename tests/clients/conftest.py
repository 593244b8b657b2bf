"""The same servers for all client tests: they ask for nothing that would be in each other's way."""

from collections.abc import Iterator

import httpx2
import pytest

from tests.clients.runs import Programs, programs_of
from tests.clients.servers import Servers, servers_in

# So that a failure there says what was compared, as in a test file.
_ASSERTING = (
    "judges_failures",
    "judges_limits",
    "judges_sound",
    "replays",
    "rows_catalogue",
    "rows_limits",
    "rows_requests",
    "rows_sound",
)
pytest.register_assert_rewrite(*(f"{__package__}.{name}" for name in _ASSERTING))


@pytest.fixture(scope="package")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with servers_in(tmp_path_factory.mktemp("clients")) as running:
        yield running


@pytest.fixture(scope="package")
def programs(tmp_path_factory: pytest.TempPathFactory, servers: Servers) -> Iterator[Programs]:
    with programs_of(tmp_path_factory.mktemp("programs"), servers.shut.server) as running:
        yield running


@pytest.fixture(scope="package")
def admin(servers: Servers) -> Iterator[httpx2.Client]:
    server = servers.shut.server
    with server.client(server.mint_key(role="admin").secret) as client:
        yield client
