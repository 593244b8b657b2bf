"""Our client against servers that other people wrote."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.config.sections import Upstream
from proxy.engines.upstream_http import UpstreamClient, open_http
from speech_engine import HttpRequest
from tests.proxy.engines.real_servers import BODY, SERVERS


@pytest.fixture(params=SERVERS)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    async with SERVERS[request.param](tmp_path) as running:
        yield running


async def test_a_real_server_is_understood(url: str) -> None:
    async def ask(path: str, method: str = "POST") -> tuple[int, bytes]:
        body = b'{"input": "Hello"}' if method == "POST" else b""
        request = HttpRequest(method=method, url=url + path, body=body)
        async with client.send(request) as found:
            return found.status, await found.read()

    async with open_http(Upstream(connections=4)) as client:
        for method in ("POST", "GET"):
            assert await ask("/whole", method) == (200, BODY)
            assert await ask("/chunks", method) == (200, BODY)
            assert (await ask("/empty", method)) == (204, b"")
            assert (await ask("/nowhere", method))[0] == 404
        answers = await asyncio.gather(*(ask("/whole") for _ in range(16)))
        assert answers == [(200, BODY)] * 16


@pytest.mark.clock
async def test_a_connection_is_used_again_until_its_server_closes_it(url: str) -> None:
    async with open_http(Upstream()) as client:
        for path in ("/whole", "/chunks", "/empty", "/whole"):
            await _read(client, url + path)
            assert repr(client) == "<UpstreamClient <ConnectionPool 0 busy, 1 idle>>"
        for _ in range(80):
            if "0 idle" in repr(client):
                break
            await asyncio.sleep(0.1)
        assert repr(client) == "<UpstreamClient <ConnectionPool 0 busy, 0 idle>>"
        await _read(client, url + "/whole")


async def test_a_server_notices_who_leaves_in_the_middle(url: str) -> None:
    async with open_http(Upstream(connections=1)) as client:
        for _ in range(20):
            async with client.send(HttpRequest(method="POST", url=url + "/whole", body=b"{}")) as found:
                assert await found.next_piece()
        assert await _read(client, url + "/whole") == BODY


async def _read(client: UpstreamClient, url: str) -> bytes:
    async with client.send(HttpRequest(method="POST", url=url, body=b"{}")) as found:
        return await found.read()
