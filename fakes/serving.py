"""A fake provider on a real port: in the event loop of a test, or as its own program."""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fakes.faults import HANG_UP
from fakes.provider import Provider

_GRACE_S = 1
"""The time that unfinished answers get when a fake ends."""


class ServedApp:
    def __init__(self, provider: Provider, server: uvicorn.Server, url: str) -> None:
        self.provider = provider
        self.url = url
        self._server = server

    def __repr__(self) -> str:
        return f"<ServedApp {self.provider!r} on {self.url}>"

    @property
    def connections(self) -> int:
        return len(self._server.server_state.connections)


class _Connection(HttpToolsProtocol):
    """A connection that the application can end without an answer."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"][HANG_UP] = self.transport.abort


class _Beside(uvicorn.Server):
    """A server in the event loop of a test, which ends at once.

    uvicorn itself looks every 0.1 s whether it should end, and then waits as long again. That time
    adds up if each test has its own server.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    def end(self) -> None:
        self._ending.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: they belong to the process of the test."""
        yield

    async def main_loop(self) -> None:
        # This sets the headers of every answer. A test's server ends before their date grows old.
        await self.on_tick(0)
        await self._ending.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listening in self.servers:
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if tasks := list(self.server_state.tasks):
            _, unfinished = await asyncio.wait(tasks, timeout=_GRACE_S)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for listening in self.servers:
            await listening.wait_closed()


@asynccontextmanager
async def served(provider: Provider) -> AsyncIterator[ServedApp]:
    """Serve on a free port while the block runs."""
    # The socket listens already: an early client waits in the kernel's queue until the server begins.
    listener = _listener("127.0.0.1", 0)
    server = _Beside(_config(provider))
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="fake provider")
    try:
        yield ServedApp(provider, server, _url(listener))
    finally:
        server.end()
        await serving


def run(provider: Provider, name: str) -> None:
    """Run the program `NAME --port N`: print the address and serve until SIGTERM or Ctrl-C."""
    run_all((provider,), name, parser_of(name).parse_args())


def parser_of(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name, description="A fake of the provider, for tests.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    return parser


def run_all(
    providers: Sequence[Provider],
    name: str,
    arguments: argparse.Namespace,
    inside: AbstractAsyncContextManager[None] | None = None,
) -> None:
    """Run a program of several servers at ports in a row, each at any free one if the first is 0. They serve
    `inside` of this."""
    ports = [arguments.port + index if arguments.port else 0 for index in range(len(providers))]
    listeners = [_listener(arguments.host, port) for port in ports]
    sys.stdout.write(f"{name} serves on {' '.join(_url(listener) for listener in listeners)}\n")
    sys.stdout.flush()
    *others, first = zip(providers, listeners, strict=True)
    asyncio.run(_serve_all(first, others, inside or nullcontext()))


async def _serve_all(
    last: tuple[Provider, socket.socket],
    others: Sequence[tuple[Provider, socket.socket]],
    inside: AbstractAsyncContextManager[None],
) -> None:
    """Serve until a signal ends the last one, which has the process's signals."""
    beside = [(_Beside(_config(provider)), listener) for provider, listener in others]
    async with inside, asyncio.TaskGroup() as serving:
        for server, listener in beside:
            serving.create_task(server.serve(sockets=[listener]))
        await uvicorn.Server(_config(last[0])).serve(sockets=[last[1]])
        for server, _listener in beside:
            server.end()


def _config(provider: Provider) -> uvicorn.Config:
    return uvicorn.Config(
        provider,
        http=_Connection,
        lifespan="off",
        ws="none",
        log_config=None,
        # uvicorn would log an error for each answer that a fault cuts off on purpose.
        log_level="critical",
        timeout_graceful_shutdown=_GRACE_S,
    )


def _listener(host: str, port: int) -> socket.socket:
    listener = socket.create_server((host, port), backlog=1024)
    listener.setblocking(False)
    # asyncio sets TCP_NODELAY only if a socket names its protocol. Without TCP_NODELAY some answers
    # wait 40 ms in vain.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{host}:{port}"
