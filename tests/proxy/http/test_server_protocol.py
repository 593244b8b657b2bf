"""A client that takes no bytes is cut off, also when the application has written its last."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from proxy.http.server_protocol import ServerProtocol

STALL_S = 0.3
REST = bytes(48 * 1024)
"""More than the kernel takes of small sockets, less than makes a transport ask for a pause."""


class ShortStallLimit(ServerProtocol):
    stall_s = STALL_S


async def _app(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": REST})


@asynccontextmanager
async def _serving() -> AsyncIterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        listener.setblocking(False)
        config = uvicorn.Config(_app, http=ShortStallLimit, ws="none", lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        config.load()
        server.lifespan = config.lifespan_class(config)
        loop = asyncio.get_running_loop()
        accepting = await loop.create_server(
            lambda: ShortStallLimit(config=config, server_state=server.server_state, app_state={}),
            sock=listener,
        )
        try:
            yield listener.getsockname()
        finally:
            accepting.close()
            await accepting.wait_closed()


@asynccontextmanager
async def _asked(address: tuple[str, int], *headers: str) -> AsyncIterator[socket.socket]:
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await loop.sock_connect(client, address)
        await loop.sock_sendall(client, "\r\n".join(("GET / HTTP/1.1", "Host: x", *headers, "", "")).encode())
        yield client


async def _received(client: socket.socket, count: int) -> int:
    """How many bytes come, up to `count`, before the end or the reset of the connection."""
    total = 0
    try:
        while total < count and (part := await asyncio.get_running_loop().sock_recv(client, 65536)):
            total += len(part)
    except ConnectionResetError:
        pass
    return total


@pytest.mark.parametrize("headers", [(), ("Connection: close",)])
async def test_a_client_that_stalls_after_the_last_write_is_cut_off(headers: tuple[str, ...]) -> None:
    async with asyncio.timeout(20.0), _serving() as address, _asked(address, *headers) as client:
        await asyncio.sleep(4 * STALL_S)  # taking nothing is the test
        assert await _received(client, len(REST)) < len(REST)


async def test_a_client_that_takes_all_keeps_its_connection_however_long_it_rests() -> None:
    async with asyncio.timeout(20.0), _serving() as address, _asked(address) as client:
        assert await _received(client, len(REST)) >= len(REST)
        await asyncio.sleep(4 * STALL_S)  # resting is the test
        await asyncio.get_running_loop().sock_sendall(client, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await _received(client, len(REST)) >= len(REST)
