"""A fake provider on a real port: beside a test in its event loop, or as a program of its own.

Needs uvicorn, and is imported by name only.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from speech_engine.testing.provider import Provider

_GRACE_S = 1
"""For answers that are under way when a fake is to end."""


class ServedApp:
    """One that runs. `url` is its root."""

    def __init__(self, provider: Provider, server: uvicorn.Server, url: str) -> None:
        self.provider = provider
        self.url = url
        self._server = server

    def __repr__(self) -> str:
        return f"<ServedApp {self.provider!r} on {self.url}>"

    @property
    def connections(self) -> int:
        return len(self._server.server_state.connections)


class _Beside(uvicorn.Server):
    """A server in the event loop of a test, which ends at once: uvicorn itself looks every 0.1 s whether it
    should end, then waits as long again, and that adds up where each test has a server of its own."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    def end(self) -> None:
        self._ending.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The process's signals are somebody else's."""
        yield

    async def main_loop(self) -> None:
        # Sets the headers that each answer has; a test's server ends before the date in them grows old.
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
    """Serves on a free port while the block runs."""
    # Listening already: who connects before the server has begun waits in the kernel's queue.
    listener = _listener("127.0.0.1", 0)
    server = _Beside(_config(provider))
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="fake provider")
    try:
        yield ServedApp(provider, server, _url(listener))
    finally:
        server.end()
        await serving


def run(provider: Provider, name: str) -> None:
    """`NAME --port N`: prints where it serves, until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog=name, description="A fake of the provider, for tests.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    listener = _listener(arguments.host, arguments.port)
    sys.stdout.write(f"{name} serves on {_url(listener)}\n")
    sys.stdout.flush()
    uvicorn.Server(_config(provider)).run(sockets=[listener])


def _config(provider: Provider) -> uvicorn.Config:
    return uvicorn.Config(
        provider,
        lifespan="off",
        ws="none",
        log_config=None,
        # An answer that is cut off on purpose is an error to uvicorn.
        log_level="critical",
        timeout_graceful_shutdown=_GRACE_S,
    )


def _listener(host: str, port: int) -> socket.socket:
    listener = socket.create_server((host, port), backlog=1024)
    listener.setblocking(False)
    # asyncio sets it only where a socket names its protocol; without it some answers wait 40 ms for nothing.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{host}:{port}"
