"""WebSockets through the nginx of docs/machines.md: its pool gives a socket any connection that is free."""

import asyncio
import re
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from proxy.features.sockets.http.socket import ClientSocket, SocketEndpoint
from tests.docs import pages
from tests.docs.pages import ROOT
from tests.features.cluster.gateways import nginx
from tests.features.sockets.http.socket_rig import ECHO, ECHOING, socket_port
from tests.proxy.http.sockets import Address, calling
from tests.server import free_port

pytestmark = pytest.mark.slow

PLAIN = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def documented(address: Address, port: int) -> str:
    """The page's configuration, with the test's addresses and without TLS."""
    (block,) = pages.blocks(ROOT / "docs/machines.md", "nginx")
    text = re.sub(r"listen 443 ssl;\n(.*\n){3}", f"listen 127.0.0.1:{port};\n", block.text)
    return re.sub(r"10\.0\.0\.1[123]:8000", f"127.0.0.1:{address[1]}", text)


async def test_sockets_open_after_200_plain_requests_and_count_their_own_bytes(tmp_path: Path) -> None:
    shares: list[float | None] = []
    over = asyncio.Event()

    async def tells(socket: ClientSocket) -> None:
        await socket.accept()
        mark = socket.count_written()
        try:
            while True:
                await socket.send(await socket.receive())
        finally:
            shares.append(socket.share_sent(mark))
            over.set()

    endpoints = (*ECHOING, SocketEndpoint("/v1/tells", tells, "tells"))
    async with socket_port(tmp_path, endpoints) as served:
        with ExitStack() as stack:
            port = free_port()
            proxy = nginx(tmp_path, port, documented(served.address, port))
            url = (await asyncio.to_thread(stack.enter_context, proxy)).replace("http", "ws")
            headers = {"authorization": f"Bearer {served.inside.key}"}

            async def ask_20() -> None:
                async with calling(("127.0.0.1", port)) as client:
                    for _ in range(20):
                        await client.send(PLAIN)
                        assert (await client.answer()).status == 200

            await asyncio.gather(*(ask_20() for _ in range(10)))

            async def talk(path: str) -> None:
                async with connect(url + path, additional_headers=headers, proxy=None) as client:
                    for text in ("hello", "x" * 100_000):
                        await client.send(text)
                        assert await client.recv() == text

            await asyncio.gather(*(talk(ECHO) for _ in range(20)))
            await talk("/v1/tells")
            await over.wait()
            assert shares == [1.0]
            with pytest.raises(InvalidStatus) as refused:
                async with connect(url + ECHO, proxy=None):
                    pass
            assert refused.value.response.status_code == 401
            assert b'"invalid_api_key"' in (refused.value.response.body or b"")
            await asyncio.to_thread(stack.close)
