"""`voxgate serve`: owns the port, the hosts and the worker; starts, restarts, drains and ends them."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec
import structlog

from proxy import runtime
from proxy.children import Child, Keeper
from proxy.config import Config, ConfigError
from proxy.engines.hosts import Hosts
from proxy.engines.registry import EngineConfigError, HostedEngineSpec, Registry
from proxy.metrics_page import MetricsPage
from proxy.reload import merge
from speech_engine.host.pipe import HostState, Message, Metrics, Ready, Revision

_SETTLING_S = 12.0
"""Past the drain: cancelled answers settle, the store closes."""

_log = structlog.get_logger()


Announce = Callable[[str, str | None], None]
"""Hears (address, dev key) when the server serves."""


def serve(config: Config, reread: Callable[[], Config], registry: Registry, announce: Announce) -> int:
    """Runs until SIGTERM or Ctrl-C; gives the exit status. `reread` is what SIGHUP calls."""
    with ExitStack() as stack:
        stack.enter_context(runtime.locked(Path(config.data)))
        http = stack.enter_context(runtime.listen(config.server.host, config.server.port))
        folder = stack.enter_context(runtime.runtime_folder(Path(config.data)))
        control = stack.enter_context(runtime.control_socket(folder))
        supervisor = Supervisor(
            config, reread, hosted_specs(config, registry), http, control, folder, announce
        )
        return asyncio.run(supervisor.run())


def is_running(config: Config) -> bool:
    """Whether a server holds this configuration's data folder."""
    return runtime.is_held(Path(config.data))


def hosted_specs(config: Config, registry: Registry) -> tuple[HostedEngineSpec, ...]:
    """The engines that get hosts; one that cannot be configured gets none, and the worker lists why."""
    specs = []
    for name, section in config.engines.items():
        try:
            spec = registry.engine(name, section)
        except EngineConfigError:
            continue
        if isinstance(spec, HostedEngineSpec):
            specs.append(spec)
    return tuple(specs)


class Supervisor:
    def __init__(
        self,
        config: Config,
        reread: Callable[[], Config],
        specs: tuple[HostedEngineSpec, ...],
        http: socket.socket,
        control: socket.socket,
        folder: Path,
        announce: Announce,
    ) -> None:
        self._config = config
        self._reread = reread
        self._revision = 1
        self._http = http
        self._control = control
        self._announce = announce
        self._announced = False
        self._hosts = Hosts(specs, folder, self._host_changed)
        self._worker = Keeper("worker", self._begin_worker, self._worker_changed, self._worker_said)
        self._page = MetricsPage(
            config.server.metrics, self._tell_worker, lambda: self._hosts.states.values()
        )
        self._stopping = asyncio.Event()
        self._worker_failed = False

    def __repr__(self) -> str:
        return f"<Supervisor {self._worker!r}, {self._hosts!r}>"

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        self._page.start()
        keeping = [asyncio.create_task(self._hosts.run()), asyncio.create_task(self._worker.run())]
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([*keeping[1:], stopping], return_when=asyncio.FIRST_COMPLETED)
            await self._drain()
            await asyncio.gather(*keeping)
        finally:
            stopping.cancel()
            self._page.stop()
        return 1 if self._worker_failed else 0

    async def _drain(self) -> None:
        """Refuse new → wait → abort → settle → stop hosts; the worker does the middle three."""
        _log.info("server.drain.started", within_s=self._config.server.drain_s)
        # Our copy of the socket would keep accepting for a worker that no longer looks.
        self._http.close()
        self._control.close()
        await self._worker.stop(self._config.server.drain_s + _SETTLING_S)
        await self._hosts.stop(0.0)
        _log.info("server.drain.complete")

    def _reload(self) -> None:
        """A file with a fault in it changes nothing; what needs a restart is named and left as it was."""
        try:
            reload = merge(self._config, self._reread())
        except ConfigError as error:
            _log.error("config.reload.refused", revision=self._revision, reason=str(error))
            return
        self._config = reload.config
        self._revision += 1
        self._tell_worker(self._newest())
        _log.info(
            "config.reload.started",
            revision=self._revision,
            changed=reload.changed,
            needs_restart=reload.needs_restart,
        )

    def _newest(self) -> Revision:
        return Revision(self._revision, msgspec.msgpack.encode(self._config))

    async def _begin_worker(self) -> Child:
        inherit = (self._http.fileno(), self._control.fileno())
        child = await Child.start("proxy.worker", inherit=inherit)
        child.send(self._newest())
        for state in self._hosts.states.values():
            child.send(state)
        return child

    def _host_changed(self, state: HostState) -> None:
        self._tell_worker(state)

    def _worker_changed(self, state: str, _generation: int, reason: str) -> None:
        if state == "failed":
            self._worker_failed = True
            _log.error("server.worker.failed", reason=reason)

    def _worker_said(self, message: Message) -> None:
        match message:
            case Ready() if not self._announced and not self._stopping.is_set():
                self._announced = True
                host, port = self._http.getsockname()[:2]
                self._announce(f"http://{f'[{host}]' if ':' in host else host}:{port}", message.dev_key)
            case Metrics():
                self._page.answered(message.text)

    def _tell_worker(self, message: Message) -> None:
        if self._worker.child is not None:
            self._worker.child.send(message)
