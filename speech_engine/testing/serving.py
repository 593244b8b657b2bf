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


class Served:
    """One that runs. `url` is its root."""

    def __init__(self, provider: Provider, server: uvicorn.Server, url: str) -> None:
        self.provider = provider
        self.url = url
        self._server = server

    def __repr__(self) -> str:
        return f"<Served {self.provider!r} on {self.url}>"

    @property
    def connections(self) -> int:
        return len(self._server.server_state.connections)


class _Beside(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The process's signals are somebody else's."""
        yield


@asynccontextmanager
async def served(provider: Provider) -> AsyncIterator[Served]:
    """Serves on a free port while the block runs."""
    # Listening already: who connects before the server has begun waits in the kernel's queue.
    listener = _listener("127.0.0.1", 0)
    server = _Beside(_config(provider))
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="fake provider")
    try:
        yield Served(provider, server, _url(listener))
    finally:
        server.should_exit = True
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
        timeout_graceful_shutdown=1,
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
