"""WebSockets: how one opens, what its handler sees, and how it ends."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.proxy.http.socket_rig import SocketPort, socket_port


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[SocketPort]:
    async with socket_port(tmp_path) as opened:
        yield opened


async def test_messages_go_both_ways(port: SocketPort) -> None:
    async with port.connect() as client:
        assert client.response is not None
        assert client.response.headers["x-request-id"].startswith("req_")
        for message in ("hello", b"\x00\xff", "", "é" * 1000):
            await client.send(message)
            assert await client.recv() == message
