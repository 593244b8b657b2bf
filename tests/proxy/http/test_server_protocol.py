"""A client that takes no bytes, or too few, is cut off, also when the application has written its last."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.types import Receive, Scope, Send

from proxy.errors import ClientLeft
from proxy.http.connection import Connection
from proxy.http.server_protocol import ServerProtocol
from tests.proxy.http.sockets import Address, serving
from tests.tables import each_row

pytestmark = pytest.mark.slow

STALL_S = 0.3
SMALL = 4096
REST = bytes(48 * 1024)
"""More than the kernel takes of small sockets, less than makes a transport ask for a pause."""
LONG = bytes(1024 * 1024)


class ShortStallLimit(ServerProtocol):
    stall_s = STALL_S
    least_bytes_per_s = 0


class LeastRate(ServerProtocol):
    stall_s = STALL_S
    least_bytes_per_s = 400_000


class LowRate(ServerProtocol):
    stall_s = STALL_S
    least_bytes_per_s = 20_000


async def _app(scope: Scope, _receive: Receive, send: Send) -> None:
    body = LONG if scope["path"] == "/long" else REST
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def _many_parts(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(0, len(LONG), SMALL):
        await send({"type": "http.response.body", "body": bytes(SMALL), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def _asked(address: Address, *headers: str, path: str = "/") -> AsyncIterator[socket.socket]:
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        client.setblocking(False)
        await loop.sock_connect(client, address)
        request = "\r\n".join((f"GET {path} HTTP/1.1", "Host: x", *headers, "", ""))
        await loop.sock_sendall(client, request.encode())
        yield client


async def _received(client: socket.socket, count: int, pause_s: float = 0.0) -> int:
    """How many bytes come, up to `count`, before the end or the reset of the connection."""
    total = 0
    try:
        while total < count and (part := await asyncio.get_running_loop().sock_recv(client, 65536)):
            total += len(part)
            if pause_s:
                await asyncio.sleep(pause_s)  # reading slowly is the test
    except ConnectionResetError:
        pass
    return total


@pytest.mark.parametrize("headers", [(), ("Connection: close",)])
async def test_a_client_that_stalls_after_the_last_write_is_cut_off(headers: tuple[str, ...]) -> None:
    async with (
        asyncio.timeout(20.0),
        serving(_app, ShortStallLimit, SMALL) as address,
        _asked(address, *headers) as client,
    ):
        await asyncio.sleep(4 * STALL_S)  # taking nothing is the test
        assert await _received(client, len(REST)) < len(REST)


async def test_a_client_that_takes_all_keeps_its_connection_however_long_it_rests() -> None:
    async with (
        asyncio.timeout(20.0),
        serving(_app, ShortStallLimit, SMALL) as address,
        _asked(address) as client,
    ):
        assert await _received(client, len(REST)) >= len(REST)
        await asyncio.sleep(4 * STALL_S)  # resting is the test
        await asyncio.get_running_loop().sock_sendall(client, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await _received(client, len(REST)) >= len(REST)


@pytest.mark.parametrize("app", [_app, _many_parts])
async def test_a_client_that_takes_a_little_now_and_then_is_cut_off(app: object) -> None:
    assert callable(app)
    async with (
        asyncio.timeout(20.0),
        serving(app, LeastRate, SMALL) as address,
        _asked(address, path="/long") as client,
    ):
        # Never still for long, and yet so slow that it would take a minute.
        assert await _received(client, len(LONG), pause_s=STALL_S / 6) < len(LONG) / 2


@pytest.mark.parametrize("app", [_app, _many_parts])
async def test_a_client_as_slow_may_stay_where_there_is_no_least_rate(app: object) -> None:
    assert callable(app)
    async with (
        asyncio.timeout(20.0),
        serving(app, ShortStallLimit, SMALL) as address,
        _asked(address, path="/long") as client,
    ):
        deadline = asyncio.get_running_loop().time() + 5 * STALL_S
        while asyncio.get_running_loop().time() < deadline:
            assert await _received(client, 1, pause_s=STALL_S / 6), "it was cut off"
        assert await _received(client, len(LONG) // 2) >= len(LONG) // 2


async def test_a_client_that_pauses_and_then_reads_on_is_not_cut_off() -> None:
    async with (
        asyncio.timeout(20.0),
        serving(_many_parts, LowRate, SMALL) as address,
        _asked(address) as client,
    ):
        for _ in range(5):
            await asyncio.sleep(STALL_S * 0.7)  # as a player pauses
            assert await _received(client, len(LONG) // 20) >= len(LONG) // 20


@each_row("size", [0, 1000, 100_000, 600_000])
async def test_a_client_that_leaves_is_noticed_whatever_it_sent(size: int) -> None:
    """A long body makes the server pause its reading, and a pause hides the client's end."""
    has_left, has_begun = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        connection = Connection(scope, receive, send)
        assert len(await connection.body(size)) == size
        try:
            with connection.stop_when_client_leaves():
                has_begun.set()
                await asyncio.Event().wait()
        except ClientLeft:
            has_left.set()

    async with serving(app, ServerProtocol) as (host, port), asyncio.timeout(60):
        _, writer = await asyncio.open_connection(host, port)
        head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
        writer.write(head.encode() + bytes(size))
        await writer.drain()
        await has_begun.wait()
        writer.close()
        await has_left.wait()
