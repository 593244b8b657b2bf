"""Our client against servers that other people wrote.

`/whole` has BODY with its length, `/chunks` has it without; `/empty` is a 204, and anything else a 404. They
answer POST as they answer GET. Each closes a connection that is idle for a second.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from proxy.config.sections import Upstream
from proxy.engines.http.upstream_http import UpstreamClient, open_http
from speech_engine import HttpRequest
from tests.clients import environments
from tests.programs import present, program
from tests.server import free_port
from tests.waiting import soon

pytestmark = pytest.mark.slow

BODY = bytes(range(256)) * 20_000
_NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 64; }}
http {{
  access_log off; keepalive_timeout 1s; default_type audio/mpeg; root {folder};
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port};
    error_page 405 =200 $uri;
    location = /chunks {{ ssi on; ssi_types *; }}
    location = /empty {{ return 204; }}
  }}
}}
"""
_NODE = """
const [port, size] = JSON.parse(process.argv[1])
const body = Buffer.from(Array.from({length: size}, (_, at) => at % 256))
const server = require('http').createServer((request, response) => {
  request.resume().on('end', () => {
    if (request.url === '/whole') response.writeHead(200, {'content-length': size}).end(body)
    else if (request.url === '/chunks') {
      for (let at = 0; at < size; at += 50000) response.write(body.subarray(at, at + 50000))
      response.end()
    }
    else response.writeHead(request.url === '/empty' ? 204 : 404).end()
  })
})
server.keepAliveTimeout = 1000
server.listen(port, '127.0.0.1')
"""


@asynccontextmanager
async def nginx(folder: Path) -> AsyncIterator[str]:
    found, port = program("nginx"), free_port()
    for name in ("whole", "chunks"):
        (folder / name).write_bytes(BODY)
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port))
    command = [found.file, "-c", str(config), "-p", str(folder)]
    async with _running(command, port, os.environ | dict(found.environ)) as url:
        yield url


@asynccontextmanager
async def node(_folder: Path) -> AsyncIterator[str]:
    found, port = present(environments.node), free_port()
    command = [found.node, "-e", _NODE, json.dumps([port, len(BODY)])]
    async with _running(command, port, dict(os.environ)) as url:
        yield url


@asynccontextmanager
async def uvicorn_server(_folder: Path) -> AsyncIterator[str]:
    port = free_port()
    config = uvicorn.Config(
        _answer, port=port, timeout_keep_alive=1, lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    await soon(lambda: _listens(port))
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


SERVERS = {"nginx": nginx, "uvicorn": uvicorn_server, "node": node}


async def _answer(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    path = scope["path"]
    status = {"/whole": 200, "/chunks": 200, "/empty": 204}.get(path, 404)
    body = BODY if status == 200 else b""
    headers = [] if path in ("/chunks", "/empty") else [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for start in range(0, len(body), 50_000):
        await send({"type": "http.response.body", "body": body[start : start + 50_000], "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def _running(command: list[str], port: int, environ: dict[str, str]) -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(*command, env=environ, stderr=asyncio.subprocess.DEVNULL)
    try:
        await soon(lambda: _listens(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@pytest.fixture(params=SERVERS)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    async with SERVERS[request.param](tmp_path) as running:
        yield running


async def test_a_real_server_is_understood(url: str) -> None:
    async def ask(path: str, method: str = "POST") -> tuple[int, bytes]:
        body = b'{"input": "Hello"}' if method == "POST" else b""
        request = HttpRequest(method=method, url=url + path, body=body)
        async with client.send(request) as found:
            return found.status, await found.read(len(BODY))

    async with open_http(Upstream(connections=4)) as client:
        for method in ("POST", "GET"):
            assert await ask("/whole", method) == (200, BODY)
            assert await ask("/chunks", method) == (200, BODY)
            assert (await ask("/empty", method)) == (204, b"")
            assert (await ask("/nowhere", method))[0] == 404
        answers = await asyncio.gather(*(ask("/whole") for _ in range(16)))
        assert answers == [(200, BODY)] * 16


@pytest.mark.clock
async def test_a_connection_is_used_again_until_its_server_closes_it(tmp_path: Path) -> None:
    """All servers at once, as each takes a second or two."""
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(serving(tmp_path)) for serving in SERVERS.values()]
        await asyncio.gather(*map(_is_used_until_closed, urls))


async def _is_used_until_closed(url: str) -> None:
    async with open_http(Upstream()) as client:
        for path in ("/whole", "/chunks", "/empty", "/whole"):
            await _read(client, url + path)
            assert repr(client) == "<UpstreamClient <ConnectionPool 0 busy, 1 idle>>"
        await soon(lambda: "0 idle" in repr(client))
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
        return await found.read(len(BODY))
