"""What a request to a provider costs by HTTP client: `python -m bench.upstream_clients`. Needs nginx.

Every client runs in each round, in a process of its own, whose CPU counts. nginx serves a 48 KB clip over
connections that are kept. A client whose package is not installed is left out by name.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import uvloop

from bench.clip import clip
from bench.load import BODY, CONNECTIONS
from bench.upstream import nginx
from proxy.config.sections import Upstream
from proxy.engines.http.upstream_http import open_http
from speech_engine import HttpRequest

ROUNDS = 7
SECONDS = 2.0
HEADERS = {
    "accept-encoding": "identity",
    "user-agent": "voxgate",
    "authorization": "Bearer none",
    "content-type": "application/json",
}

AdminRequest = Callable[[], Awaitable[int]]
"""One request; returns the bytes of its answer."""


@asynccontextmanager
async def _lean(url: str) -> AsyncIterator[AdminRequest]:
    async with open_http(Upstream()) as client:

        async def ask() -> int:
            request = HttpRequest(method="POST", url=url, headers=dict(HEADERS), body=BODY.encode())
            size = 0
            async with client.send(request) as answer:
                while piece := await answer.next_piece():
                    size += len(piece)
            return size

        yield ask


@asynccontextmanager
async def _aiohttp(url: str) -> AsyncIterator[AdminRequest]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def ask() -> int:
            size = 0
            async with session.post(url, headers=HEADERS, data=BODY.encode()) as answer:
                while piece := await answer.content.readany():
                    size += len(piece)
            return size

        yield ask


@asynccontextmanager
async def _httpx2(url: str, transport: object = None) -> AsyncIterator[AdminRequest]:
    import httpx2

    async with httpx2.AsyncClient(transport=transport) as client:  # type: ignore[arg-type]  # another package's

        async def ask() -> int:
            size = 0
            async with client.stream("POST", url, headers=HEADERS, content=BODY.encode()) as answer:
                async for piece in answer.aiter_raw():
                    size += len(piece)
            return size

        yield ask


@asynccontextmanager
async def _httpx2_aiohttp(url: str) -> AsyncIterator[AdminRequest]:
    import httpx2

    # The package knows httpx by its old name.
    httpx2.alias_httpx()
    transport = importlib.import_module("httpx_aiohttp").AiohttpTransport()
    async with _httpx2(url, transport) as ask:
        yield ask


CLIENTS = {
    "lean": _lean,
    "aiohttp": _aiohttp,
    "httpx2": _httpx2,
    "httpx2 over aiohttp": _httpx2_aiohttp,
}
AGAINST = "aiohttp"


def main() -> None:
    found: dict[str, list[float]] = {name: [] for name in CLIENTS}
    with tempfile.TemporaryDirectory() as folder, nginx(Path(folder)) as port:
        url = f"http://127.0.0.1:{port}/v1/audio/speech"
        for _ in range(ROUNDS):
            for name, rounds in list(found.items()):
                command = [sys.executable, "-m", "bench.upstream_clients", name, url]
                ended = subprocess.run(command, capture_output=True, text=True, check=False)
                if ended.returncode:
                    print(f"{name} is left out: {ended.stderr.strip().splitlines()[-1]}")
                    del found[name]
                else:
                    rounds.append(json.loads(ended.stdout))
    print(f"CPU ms a request, {CONNECTIONS} at once, medians of {ROUNDS} rounds")
    for name, rounds in found.items():
        ratio = statistics.median(a / b for a, b in zip(rounds, found[AGAINST], strict=True))
        spread = f"{min(rounds):.3f}–{max(rounds):.3f}"
        print(f"{name:20} {statistics.median(rounds):.3f} ({spread}), {ratio:.2f} of {AGAINST}")


async def _measured(name: str, url: str) -> float:
    async with CLIENTS[name](url) as ask:
        await _asked(ask, 0.3)
        before = time.process_time()
        count = await _asked(ask, SECONDS)
        return (time.process_time() - before) / count * 1000


async def _asked(ask: AdminRequest, seconds: float) -> int:
    """How many requests came through in that time, so many at once."""
    until = time.monotonic() + seconds
    size = len(clip())

    async def one() -> int:
        count = 0
        while time.monotonic() < until:
            assert await ask() == size
            count += 1
        return count

    return sum(await asyncio.gather(*(one() for _ in range(CONNECTIONS))))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(uvloop.run(_measured(*sys.argv[1:])))
    else:
        main()
