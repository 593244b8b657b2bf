"""The `Front` of a worker's process is its main work: it serves clients, or only works on queued tasks."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from proxy.app import Worker
from proxy.config.config_toml import Config
from proxy.feature import Tasks
from proxy.http.open_connections import OpenConnections
from proxy.http.server_protocol import ServerProtocol, server_protocol

SETTLE_S = 10.0  # cancelled requests settle in this time, and `Ready` waits as long for the engines
_POLL_S = 0.01


class Front(Protocol):
    """The main work of a process. The process ends when `run` returns."""

    def revise(self, config: Config) -> None:
        """Take on a new revision of the configuration."""
        ...

    def let_clients_go(self) -> None:
        """Work on, and close each connection after its answer."""
        ...

    def stop(self, within_s: int | None = None) -> None:
        """Refuse new work. Work under way may go on until the end of the drain, or for `within_s`."""
        ...

    async def run(self) -> None: ...


_PATHS_OF_WORKERS = ("/cluster/link", "/healthz", "/readyz")


def _links_alone(app: ASGIApp) -> ASGIApp:
    """Return an app that answers hosts and health checks, as a `voxgate worker` does."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") in _PATHS_OF_WORKERS:
            await app(scope, receive, send)
        else:
            await PlainTextResponse("A worker takes the links of hosts alone.\n", 404)(scope, receive, send)

    return answer


class HttpFront:
    """Serves clients on the server's port, or hosts on that of a worker."""

    def __init__(self, worker: Worker, config: Config, http: socket.socket) -> None:
        self._http, self._features = http, worker.open_features.features
        self._connections = OpenConnections(config.server, worker.metrics.connections)
        protocol = server_protocol(config.server, self._connections)
        app = worker.public if config.serves else _links_alone(worker.public)
        self._server = uvicorn_server(app, protocol, _drain_seconds(config))

    def revise(self, config: Config) -> None:
        self._connections.revise_limits(config.server)
        self._server.config.timeout_graceful_shutdown = _drain_seconds(config)

    def let_clients_go(self) -> None:
        self._connections.is_server_leaving = True
        for feature in self._features:
            feature.let_clients_go()

    def stop(self, within_s: int | None = None) -> None:
        if within_s is not None:
            self._server.config.timeout_graceful_shutdown = within_s
        self._server.should_exit = True

    async def run(self) -> None:
        await self._server.serve(sockets=[self._http])
        if tasks := self._server.server_state.tasks:
            # The drain has cancelled these requests. They settle their holds before the store closes.
            await asyncio.wait(tasks, timeout=SETTLE_S)


class WorkFront:
    """Works on queued tasks, and serves no requests but links of hosts. At its end, running tasks may use the
    drain."""

    def __init__(self, task_kinds: Sequence[Tasks], config: Config, links: HttpFront | None = None) -> None:
        self._task_kinds, self._links = task_kinds, links
        self._stop_requested = asyncio.Event()
        self.revise(config)

    def revise(self, config: Config) -> None:
        self._drain_s = config.server.drain_s

    def let_clients_go(self) -> None:
        """It has no clients."""

    def stop(self, within_s: int | None = None) -> None:
        if within_s is not None:
            self._drain_s = within_s
        if self._links is not None:
            self._links.stop(1)
        for kind in self._task_kinds:
            kind.stop_taking()
        self._stop_requested.set()

    async def run(self) -> None:
        serving = [] if self._links is None else [asyncio.create_task(self._links.run())]
        await asyncio.sleep(0)  # uvicorn takes the signals at its start, and gives them back at its end
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.stop)
        await self._stop_requested.wait()
        await asyncio.gather(*serving)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._drain_s):
                for kind in self._task_kinds:
                    await kind.finish()


class _Server(uvicorn.Server):
    """Ends as soon as `should_exit` is set and its clients have gone. uvicorn looks for both each 0.1 s."""

    def __init__(self, config: uvicorn.Config) -> None:
        self._exiting = asyncio.Event()
        super().__init__(config)

    @property
    def should_exit(self) -> bool:
        return self._exiting.is_set()

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        if value:
            self._exiting.set()

    async def main_loop(self) -> None:
        # A tick of 0 sets the date in the headers of all answers.
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._exiting.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listening in sockets or []:
            listening.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while state.connections or state.tasks:  # noqa: ASYNC110 - connections end without an event
                    await asyncio.sleep(_POLL_S)
        for task in state.tasks:
            task.cancel()


def uvicorn_server(app: ASGIApp, protocol: type[ServerProtocol], drain_s: int) -> uvicorn.Server:
    return _Server(
        uvicorn.Config(
            app,
            interface="asgi3",  # uvicorn would call a bound method in the older way
            http=protocol,
            loop="none",
            ws="none",
            lifespan="off",
            access_log=False,
            proxy_headers=False,  # it would trust 127.0.0.1; `public_app` trusts those in the configuration
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=drain_s,
        )
    )


def _drain_seconds(config: Config) -> int:
    return max(1, round(config.server.drain_s))  # uvicorn counts whole seconds
