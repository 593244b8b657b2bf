"""Receivers of webhooks on loopback, over real connections: they answer, fail, redirect, chatter or hang."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple


class Told(NamedTuple):
    """One request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def status(code: int, *lines: str) -> bytes:
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {code} x", *lines, "content-length: 0"))
    return f"{head}\r\n".encode()


class Receiver:
    """`answers` are sent in turn, the last one again and again. None: it hangs until it is closed."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers or (OK,))
        self.told: list[Told] = []
        self.connections = 0
        self.sent_bytes = 0
        self.port = 0
        self.on_told: Callable[[], None] = lambda: None
        self._closing = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?token=hush"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in rest)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.told.append(Told(line, headers, body))
        self.on_told()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            await self._closing.wait()
            return
        writer.write(answer)
        self.sent_bytes += len(answer)
        await writer.drain()

    async def close(self) -> None:
        self._closing.set()
        while self._tasks:
            await asyncio.wait(self._tasks)


@asynccontextmanager
async def receiver(
    *answers: bytes | None, host: str = "127.0.0.1", port: int = 0, context: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    opened = Receiver(*answers)
    server = await asyncio.start_server(opened.serve, host, port, ssl=context)
    opened.port = server.sockets[0].getsockname()[1]
    try:
        yield opened
    finally:
        server.close()
        await opened.close()
