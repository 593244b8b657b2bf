"""A provider's server, down to its bytes: every connection is given what a test wrote down."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

_LENGTH = re.compile(r"content-length: *(\d+)", re.IGNORECASE)

Act = bytes | float | Callable[[], Awaitable[object]]
"""Bytes to send, seconds to pause, or something to wait for."""


class Bare:
    """`acts` are what every request is answered with; the connection stays open after them unless `ends`.

    `heads` are the requests with their headers, `connections` counts those that were ever made, `open` those
    that are: a client that leaves in the middle ends its own.
    """

    def __init__(self, *acts: Act, ends: bool = False) -> None:
        self.acts = acts
        self.heads: list[str] = []
        self.connections = 0
        self.open = 0
        self.answering = asyncio.Event()
        self.url = ""
        self._ends = ends
        self._serving: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        try:
            await self._answer_all(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client is gone, or the test is over
        finally:
            writer.close()
            self.open -= 1

    async def close(self) -> None:
        """Ends every connection that is open."""
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        if serving:
            await asyncio.wait(serving)

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            length = next(
                (line[15:] for line in head.lower().split("\r\n") if line[:15] == "content-length:"), "0"
            )
            await reader.readexactly(int(length))
            answering = asyncio.create_task(self._answer(writer))
            leaving = asyncio.create_task(reader.read(1))
            try:
                await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
            finally:
                answering.cancel()
                leaving.cancel()
                await asyncio.wait((answering, leaving))
            if self._ends or answering.cancelled() or answering.exception():
                return

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        for act in self.acts:
            if isinstance(act, bytes):
                writer.write(act)
                await writer.drain()
            elif isinstance(act, float):
                await asyncio.sleep(act)
            else:
                self.answering.set()
                await act()


@asynccontextmanager
async def bare(
    *acts: Act, ends: bool = False, context: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Bare]:
    """Serves on a free port of `host` while the block runs."""
    provider = Bare(*acts, ends=ends)
    server = await asyncio.start_server(provider.serve, host, 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    provider.url = f"{'https' if context else 'http'}://{shown}:{port}"
    try:
        yield provider
    finally:
        server.close()
        await provider.close()


def answer(body: bytes = b"{}", status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def begun(length: int = 1_000_000) -> bytes:
    """Of an answer whose body is yet to come."""
    return f"HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n".encode()


class TunnelProxy:
    """A forward proxy for private connections. `asked` has the places, `keys` how its clients named
    themselves."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.keys: list[str] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head.split(" ")[1])
        self.keys += re.findall("proxy-authorization: *(.*)\r\n", head, re.IGNORECASE)
        host, _, port = self.asked[-1].rpartition(":")
        try:
            there, to_there = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.write(b"HTTP/1.1 502 Nobody there\r\n\r\n")
            writer.close()
            return
        writer.write(b"HTTP/1.1 200 Here you are\r\nvia: me\r\n\r\n")
        await asyncio.gather(_passed_on(reader, to_there), _passed_on(there, writer))


async def _passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass  # either end may be gone
    writer.close()


@asynccontextmanager
async def tunnel_proxy(context: ssl.SSLContext | None = None) -> AsyncIterator[TunnelProxy]:
    proxy = TunnelProxy()
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, ssl=context)
    proxy.url = f"{'https' if context else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
