"""How many may connect: one client no more than its share, and all no more than the worker takes."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from proxy.config.sections import Server
from proxy.http.open_connections import SPARE_CONNECTIONS, OpenConnections
from proxy.http.server_protocol import server_protocol
from proxy.telemetry.metrics import Metrics
from tests.proxy.api.inside import inside
from tests.proxy.http.sockets import Address, RawAnswer, RawClient, calling, serving
from tests.tables import each_row

WAIT_S = 10.0
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
ONE, OTHER = "127.0.0.2", "127.0.0.3"


class Port(NamedTuple):
    address: Address
    places: OpenConnections
    key: str
    metrics: Metrics


@asynccontextmanager
async def port(folder: Path, **limits: object) -> AsyncIterator[Port]:
    server = msgspec.convert(limits, Server)
    async with asyncio.timeout(WAIT_S), inside(folder) as worker:
        places = OpenConnections(server, worker.worker.metrics.connections)
        async with serving(worker.worker.public, server_protocol(server, places)) as address:
            yield Port(address, places, worker.key, worker.worker.metrics)


async def hold(stack: AsyncExitStack, address: Address, source: str, count: int = 1) -> list[RawClient]:
    """Connections that the server has accepted, and that hold their place."""
    held = [await stack.enter_async_context(calling(address, source)) for _ in range(count)]
    for client in held:
        await client.send(HEALTH)
        assert (await client.answer()).status == 200
    return held


async def ask(address: Address, source: str, request: bytes = HEALTH) -> RawAnswer:
    async with calling(address, source) as client:
        await client.send(request)
        return await client.answer()


async def test_a_client_with_its_share_is_refused_and_others_are_not(tmp_path: Path) -> None:
    async with port(tmp_path, connections_per_client=2) as served, AsyncExitStack() as stack:
        await hold(stack, served.address, ONE, 2)
        answer = await ask(served.address, ONE)
        assert (answer.status, answer.error["code"], answer.is_last) == (429, "rate_limit_exceeded", True)
        assert answer.headers["retry-after"] == "1"
        assert (await ask(served.address, OTHER)).status == 200


async def test_a_place_is_free_when_its_connection_has_ended(tmp_path: Path) -> None:
    async with port(tmp_path, connections_per_client=1, connections=1) as served:
        for _ in range(3):
            async with AsyncExitStack() as stack:
                (client,) = await hold(stack, served.address, ONE)
                await client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                await client.answer()
                assert await client.rest() == b""
            assert repr(served.places).startswith("<OpenConnections 0 of ")


async def test_a_refused_connection_takes_no_place(tmp_path: Path) -> None:
    async with port(tmp_path, connections_per_client=1) as served, AsyncExitStack() as stack:
        await hold(stack, served.address, ONE)
        for _ in range(5):
            assert (await ask(served.address, ONE)).status == 429
        assert repr(served.places).startswith("<OpenConnections 1 of ")


async def test_a_trusted_proxy_has_no_share(tmp_path: Path) -> None:
    async with (
        port(tmp_path, connections_per_client=1, trusted_proxies=["127.0.0.2/32"]) as served,
        AsyncExitStack() as stack,
    ):
        await hold(stack, served.address, ONE, 5)
        await hold(stack, served.address, OTHER, 1)
        assert (await ask(served.address, OTHER)).status == 429


async def test_a_full_worker_answers_health_and_refuses_the_rest(tmp_path: Path) -> None:
    async with port(tmp_path, connections=2) as served, AsyncExitStack() as stack:
        first, _ = await hold(stack, served.address, ONE, 2)
        models = f"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {served.key}\r\n\r\n".encode()
        refused = await ask(served.address, OTHER, models)
        assert (refused.status, refused.error["code"], refused.is_last) == (503, "server_busy", True)
        healthy = await ask(served.address, OTHER)
        assert (healthy.status, healthy.is_last) == (200, True)
        # Who has a place keeps it.
        await first.send(models)
        assert (await first.answer()).status == 200


async def test_those_who_say_nothing_in_spare_places_keep_nobody_out(tmp_path: Path) -> None:
    async with port(tmp_path, connections=1) as served, AsyncExitStack() as stack:
        await hold(stack, served.address, ONE)
        silent = [
            await stack.enter_async_context(calling(served.address, ONE)) for _ in range(SPARE_CONNECTIONS)
        ]
        assert (await ask(served.address, OTHER)).status == 200
        assert await silent[0].rest() == b"", "the oldest makes room"
        assert (await ask(served.address, OTHER)).status == 200


async def test_a_reload_changes_the_limits(tmp_path: Path) -> None:
    async with port(tmp_path) as served, AsyncExitStack() as stack:
        await hold(stack, served.address, ONE, 2)
        served.places.revise_limits(Server(connections_per_client=2))
        assert (await ask(served.address, ONE)).status == 429
        served.places.revise_limits(Server(connections_per_client=3))
        assert (await ask(served.address, ONE)).status == 200


async def test_an_operator_sees_what_is_open_and_what_was_refused(tmp_path: Path) -> None:
    async with port(tmp_path, connections_per_client=2) as served, AsyncExitStack() as stack:
        await hold(stack, served.address, ONE, 2)
        assert (await ask(served.address, ONE)).status == 429
        assert (await ask(served.address, OTHER, b"no HTTP\r\n\r\n")).status == 400
        told = served.metrics.page_text().splitlines()
        assert 'voxgate_connections_refused_total{code="rate_limit_exceeded"} 1.0' in told
        assert 'voxgate_connections_refused_total{code="invalid_http"} 1.0' in told
        (is_open,) = [line for line in told if line.startswith("voxgate_connections ")]
        assert float(is_open.split()[1]) >= 2


_PROGRAM = """
import resource
from proxy.config.sections import Server
from proxy.helpers.file_limit import raise_file_limit
from proxy.http.open_connections import OpenConnections
from proxy.telemetry.metrics import Metrics
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
raise_file_limit()
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
print(OpenConnections(Server(connections=1_000_000), Metrics().connections))
"""


@each_row(
    ("soft", "hard", "files", "places"),
    [(300, 400, 400, 144), (1024, 4096, 4096, 3840), (300, 300, 300, 44), (100, 100, 100, SPARE_CONNECTIONS)],
)
def test_no_more_may_connect_than_the_process_may_open_files(
    soft: int, hard: int, files: int, places: int
) -> None:
    program = _PROGRAM.format(soft=soft, hard=hard)
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines() == [str(files), f"<OpenConnections 0 of {places}>"]


@pytest.mark.parametrize("setting", ["connections", "connections_per_client"])
def test_no_connection_at_all_is_no_setting(setting: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({setting: 0}, Server)
