"""A worker's process: `python -m proxy.worker PIPE_FD HTTP_FD CONTROL_FD`, started by the supervisor only."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import msgspec
import structlog
import uvicorn
import uvloop
from starlette.types import ASGIApp

from proxy import dev_key, telemetry
from proxy.app import Worker, open_worker
from proxy.config import Config
from proxy.engines import registry
from proxy.http_protocol import ImpatientProtocol
from proxy.storage.store import StorageFailed, StorageUnreachable
from speech_engine.host.pipe import (
    Broken,
    Drain,
    HostState,
    Message,
    Metrics,
    MetricsAsked,
    ParentPipe,
    Ready,
    Revision,
    remove_socket,
)

SETTLE_S = 10.0

_GREETING_S = 3.0
"""Until then the engines may come up before we accept: who connected meanwhile waits in the backlog."""

_log = structlog.get_logger()


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    telemetry.configure_logs("worker")
    pipe_fd, http_fd, control_fd = map(int, sys.argv[1:4])
    pipe = ParentPipe(pipe_fd)
    revision = pipe.receive()
    if not isinstance(revision, Revision):
        sys.exit(1)
    config = _config(revision)
    http, control = socket.socket(fileno=http_fd), socket.socket(fileno=control_fd)
    try:
        uvloop.run(_serve(pipe, config, http, control))
    except (StorageFailed, OSError) as error:
        # A database that is away comes back: then the supervisor's next try succeeds.
        lasting = isinstance(error, StorageFailed) and not isinstance(error, StorageUnreachable)
        pipe.send(Broken(f"{type(error).__name__}: {error}", lasting=lasting))
        sys.exit(1)
    # Threads of libraries must not keep a drained worker alive.
    os._exit(0)


async def _serve(pipe: ParentPipe, config: Config, http: socket.socket, control: socket.socket) -> None:
    async with open_worker(config, registry.load()) as worker:
        public = _server(worker.public, _drain_s(config))
        private = _server(worker.control, 1)
        inbox = _watch(pipe, control.getsockname())
        helping = [
            asyncio.create_task(_listen(pipe, inbox, worker, public)),
            asyncio.create_task(_announce(pipe, config, worker)),
        ]
        answering = asyncio.create_task(private.serve(sockets=[control]))
        await worker.engines.settled(_GREETING_S)
        await public.serve(sockets=[http])
        if public.server_state.tasks:
            # Cancelled at the end of the drain: they settle before the store closes.
            await asyncio.wait(public.server_state.tasks, timeout=SETTLE_S)
        private.should_exit = True
        await answering
        for task in helping:
            task.cancel()
    _log.info("worker.stop.complete")


def _watch(pipe: ParentPipe, control_address: str) -> asyncio.Queue[Message]:
    """What the supervisor says, in its order. At its death: away with control.sock and with us."""
    loop, inbox = asyncio.get_running_loop(), asyncio.Queue[Message]()

    def on_message(message: Message) -> None:
        loop.call_soon_threadsafe(inbox.put_nowait, message)

    pipe.watch(on_message, lambda: remove_socket(control_address))
    return inbox


async def _announce(pipe: ParentPipe, config: Config, worker: Worker) -> None:
    """Tells the supervisor to say that we serve, once the engines have come up or have failed to."""
    key = await dev_key.ensure(worker.store, Path(config.data)) if config.server.dev_key else None
    await worker.engines.settled(SETTLE_S)
    pipe.send(Ready(key))


def _server(app: ASGIApp, drain_s: int) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            interface="asgi3",  # uvicorn would take a bound method for the older kind
            http=ImpatientProtocol,
            loop="none",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=drain_s,
        )
    )


def _config(revision: Revision) -> Config:
    return msgspec.msgpack.decode(revision.config, type=Config)


def _drain_s(config: Config) -> int:
    return max(1, round(config.server.drain_s))  # uvicorn counts whole seconds


async def _listen(
    pipe: ParentPipe,
    inbox: asyncio.Queue[Message],
    worker: Worker,
    public: uvicorn.Server,
) -> None:
    while True:
        match await inbox.get():
            case HostState() as state:
                worker.engines.heard(state)
            case MetricsAsked():
                pipe.send(Metrics(worker.metrics.text()))
            case Revision() as revision:
                config = _config(revision)
                worker.revise(config)
                public.config.timeout_graceful_shutdown = _drain_s(config)
                _log.info("config.reload.complete", revision=revision.number)
            case Drain():
                worker.is_draining = True
                public.should_exit = True
            case unexpected:
                _log.warning("worker.message.unexpected", message=type(unexpected).__name__)


if __name__ == "__main__":
    main()
