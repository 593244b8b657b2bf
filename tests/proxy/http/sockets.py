"""A port for an app, behind the server's own protocol, and clients that write what bytes they like."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import uvicorn
from starlette.types import ASGIApp

from proxy.http.server_protocol import ServerProtocol

Address = tuple[str, int]


@asynccontextmanager
async def serving(
    app: ASGIApp,
    protocol: type[ServerProtocol],
    send_buffer: int | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> AsyncIterator[Address]:
    """Serves the app, on a free port if none is given. A small send buffer shows soon if a client is slow.

    It fails if the loop had to report an error, which would be a traceback in the log of a server.
    """
    reported = list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    with socket.create_server((host, port)) as listener:
        if send_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        listener.setblocking(False)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as uvloop does
        config = uvicorn.Config(
            app, http=protocol, interface="asgi3", ws="none", lifespan="off", log_config=None
        )
        server = uvicorn.Server(config)
        config.load()
        server.lifespan = config.lifespan_class(config)
        loop = asyncio.get_running_loop()
        state = server.server_state
        accepting = await loop.create_server(
            lambda: protocol(config=config, server_state=state, app_state={}), sock=listener
        )
        try:
            yield listener.getsockname()
        finally:
            accepting.close()
            for connection in list(state.connections):
                connection.transport.abort()
            for task in list(state.tasks):
                task.cancel()
            await asyncio.gather(*state.tasks, return_exceptions=True)
            await accepting.wait_closed()
    assert reported == []


class Patient(ServerProtocol):
    stall_s = 30.0
    least_bytes_per_s = 0


class RawAnswer(NamedTuple):
    """An answer as it came. `rest` is what came after it."""

    status: int
    headers: dict[str, str]
    body: bytes
    rest: bytes = b""

    @property
    def error(self) -> dict[str, Any]:
        """The error in OpenAI's shape, checked: four keys, an id, a time."""
        assert self.headers["content-type"] == "application/json", self
        assert self.headers["x-request-id"].startswith("req_")
        assert self.headers["openai-processing-ms"].isdecimal()
        assert self.headers["x-content-type-options"] == "nosniff"
        body = json.loads(self.body)
        assert list(body) == ["error"]
        assert sorted(body["error"]) == ["code", "message", "param", "type"]
        error: dict[str, Any] = body["error"]
        return error

    @property
    def is_last(self) -> bool:
        return self.headers.get("connection") == "close"


class RawClient:
    """A connection. `heard` has the bytes that have come."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.heard = b""

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self) -> RawAnswer:
        """The next answer, with a length that its head tells."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        status, headers = _head(head)
        return RawAnswer(status, headers, await self._reader.readexactly(int(headers["content-length"])))

    async def head(self) -> bytes:
        """The next head, of an answer without a length."""
        return await self._reader.readuntil(b"\r\n\r\n")

    async def exactly(self, count: int) -> bytes:
        return await self._reader.readexactly(count)

    async def rest(self) -> bytes:
        """All bytes until the server ends the connection."""
        parts = []
        try:
            while part := await self._reader.read(65536):
                parts.append(part)
        except ConnectionResetError:
            pass
        return b"".join(parts)

    def hang_up(self) -> None:
        self._writer.transport.abort()


@asynccontextmanager
async def calling(address: Address, source: str | None = None) -> AsyncIterator[RawClient]:
    local = None if source is None else (source, 0)
    reader, writer = await asyncio.open_connection(*address[:2], local_addr=local)
    try:
        yield RawClient(reader, writer)
    finally:
        writer.transport.abort()


async def ask(address: Address, *pieces: bytes) -> RawAnswer:
    """Sends the pieces, and reads one answer and the end of the connection."""
    async with calling(address) as client:
        for piece in pieces:
            await client.send(piece)
        answer = await client.answer()
        return answer._replace(rest=await client.rest())


def _head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    version, status, *_ = first.split(" ")
    assert version == "HTTP/1.1", first
    fields = (line.split(": ", 1) for line in lines)
    return int(status), {name.lower(): value for name, value in fields}
