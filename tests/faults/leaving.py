"""Clients of a cloud's voices that vanish, and the server that they leave."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import pytest

from fakes.faults import ScriptedFault
from tests.faults.clouds import ENVIRON, KINDS, PLUGINS, Clouds, Plugin, clouds
from tests.faults.processes import worker
from tests.server import Server, running
from tests.waiting import until

TEXT = "Hello there, world. How are you today?"
SHORT_TEXT = "Hi."
TOGETHER = 20
TENANT = "leavers"

_CONFIG = """
[server]
default_model = "openai/{model}"
[plans.leavers]
prices.speech = {{ credits = 1, per = "character" }}
{engines}
[voices.ada]
{voices}
"""


class Scene(NamedTuple):
    server: Server
    key: str
    clouds: Clouds

    @property
    def sockets(self) -> int:
        return len(worker(self.server).net_connections("tcp"))

    def outcomes(self) -> list[tuple[str, float]]:
        """How the tenant's requests ended and what they cost, the newest first."""
        with self.server.client(self.key) as client:
            rows = client.get("/v1/usage?limit=100").raise_for_status().json()["data"]
        return [(row["outcome"], row["credits"]) for row in rows]


class Client:
    """One that can vanish as a killed process does: without a word."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def asking(cls, scene: Scene, plugin: Plugin, text: str = TEXT) -> "Client":
        host, _, port = scene.server.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        asked = {"model": f"{plugin}/{KINDS[plugin].model}", "voice": "ada", "input": text}
        body = json.dumps(asked).encode()
        head = (
            f"POST /v1/audio/speech HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {scene.key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        return cls(reader, writer)

    async def hears(self, bytes_: int) -> None:
        """Returns when so many bytes of an answer of audio are there."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        await self._reader.readexactly(bytes_)

    async def hears_all(self) -> None:
        await self._reader.readuntil(b"\r\n0\r\n\r\n")

    async def vanish(self) -> float:
        """When it began to go."""
        gone = time.monotonic()
        self._writer.transport.abort()
        with suppress(ConnectionError):
            await self._writer.wait_closed()
        return gone


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with clouds() as fakes:
        config = _CONFIG.format(
            model=KINDS["openai"].model,
            engines="\n".join(fakes.engine(plugin, plugin) for plugin in PLUGINS),
            voices="\n".join(f'{plugin} = "{kind.voice}"' for plugin, kind in KINDS.items()),
        )
        with running(tmp_path_factory.mktemp("leaving"), config, environ=ENVIRON) as server:
            key = server.mint_key(TENANT, plan=TENANT).secret
            yield Scene(server, key, fakes)


async def expect_leavers_to_leave_nothing(scene: Scene, leavers: int) -> None:
    """So many begin to hear and vanish; then no request, no connection and no slot of theirs is left."""
    plugin: Plugin = "openai"
    scene.clouds.forget()
    await _speak(scene, plugin)
    until(lambda: scene.clouds.open(plugin) == 0)
    before = scene.sockets
    scene.clouds.fail(plugin, plugin, [ScriptedFault(name="hang_after", after_bytes=1_500, count=leavers)])
    for _ in range(leavers // TOGETHER):
        await asyncio.gather(*(_come_and_go(scene, plugin) for _ in range(TOGETHER)))
    until(lambda: scene.clouds.open(plugin) == 0)
    left = [seen for seen in scene.clouds.spoken(plugin, plugin) if seen.left_at is not None]
    assert len(left) == leavers
    until(lambda: scene.sockets <= before)
    await _speak(scene, plugin)


async def _come_and_go(scene: Scene, plugin: Plugin) -> None:
    client = await Client.asking(scene, plugin, SHORT_TEXT)
    await client.hears(1)
    await client.vanish()


async def _speak(scene: Scene, plugin: Plugin) -> None:
    client = await Client.asking(scene, plugin, SHORT_TEXT)
    await client.hears(1)
    await client.hears_all()
    await client.vanish()
