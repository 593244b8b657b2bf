"""`voxgate host`: engines for gateways on other machines. It is a supervisor of hosts, without workers.

It has no database, no vault and no master key. It dials its gateways, which watch it, and send their work to
the processes of its engines over the links.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import grpc
import msgspec
import structlog

from proxy import __version__
from proxy.config.clusters import Gateway, HostSection
from proxy.config.config_toml import Config
from proxy.config.secret import environ_for_hosts
from proxy.engines.registry import HostedEngineSpec
from proxy.errors import CannotServe
from proxy.file_store import data_folder
from proxy.helpers.child import Child
from proxy.helpers.child_supervisor import ChildSupervisor
from proxy.hosts.cluster.messages import (
    OPTIONS,
    SILENT_S,
    TICK_S,
    GatewayHello,
    GatewayMessage,
    HostEnded,
    HostHello,
    HostLeaves,
    HostMessage,
    HostTick,
    ProcessLoad,
    SwitchQuestion,
    SwitchReply,
    method,
)
from proxy.hosts.figures import host_metrics
from proxy.hosts.host import named_sockets_in
from proxy.hosts.host_list import EngineSwitch, Hosts
from proxy.hosts.links.link_messages import AGENT, BeginDialling
from proxy.http.metrics_page import MetricsPage, WorkerMetrics
from proxy.processes.runtime import runtime_base
from proxy.storage.rows import new_id
from speech_engine.host import messages
from speech_engine.host.cluster_messages import Watched
from speech_engine.host.pipe_messages import HostState
from speech_engine.host.process_rights import forbid_dumps

_MOST_WATCHES = 1000
_MOST_UNREAD = 5000
"""Messages that a gateway has not read. With more, its Watch ends."""
_MOST_PROGRESS = 10
"""The processes whose progress is sent each second. Gateways read 20 messages a second."""
_LEAVE_S = 1.0
"""The time in which gateways hear that a host leaves. Work that a gateway sent before it heard this still
arrives."""
_ENDED_S = 1.0
"""The time in which gateways read that the hosts have ended."""

_log = structlog.get_logger()


class _Watcher:
    """One gateway's Watch. `send` puts messages into its queue, which the Watch writes."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[HostMessage] = asyncio.Queue(_MOST_UNREAD)
        self.is_slow = asyncio.Event()

    def send(self, message: HostMessage) -> None:
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            self.is_slow.set()


class AgentService(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio ships no types
    """Answers gateways: `Watch` and `Switch`."""

    def __init__(self, hosts: Hosts, switch: EngineSwitch) -> None:
        self.machine = new_id("mch")
        self._hosts = hosts
        self._switch = switch
        self._watchers: set[_Watcher] = set()
        self._is_leaving = False
        self._unwatched = asyncio.Event()
        stream, unary = grpc.stream_stream_rpc_method_handler, grpc.unary_unary_rpc_method_handler
        decoder, encode = messages.decoder, messages.encode
        self._methods = {
            method("Watch"): stream(self._serve_watch, decoder(GatewayMessage), encode),
            method("Switch"): unary(self._switch_engine, decoder(SwitchQuestion), encode),
        }

    def service(self, details: Any) -> Any:
        return self._methods.get(details.method)

    def tell_state(self, state: HostState) -> None:
        if not state.loaded:  # `run` sends the progress of a process that loads
            self.send_to_watchers(state)

    def send_to_watchers(self, message: HostMessage) -> None:
        for watcher in self._watchers:
            watcher.send(message)

    def announce_leaving(self) -> None:
        self._is_leaving = True
        self.send_to_watchers(HostLeaves())

    async def run(self) -> None:
        """Give signs of life to the gateways, and to the hosts while a gateway watches."""
        while True:
            host_loads = self._hosts.loads().items()
            processes = tuple(ProcessLoad(engine, number, load) for (engine, number), load in host_loads)
            self.send_to_watchers(HostTick(processes, len(self._watchers)))
            loading = [state for state in self._hosts.states.values() if state.loaded]
            for state in loading[:_MOST_PROGRESS]:
                self.send_to_watchers(state)
            if self._watchers:
                self._hosts.tell(Watched(is_first=False))
            await asyncio.sleep(TICK_S)

    async def announce_end(self) -> None:
        """Tell the gateways that the hosts have ended, and wait a moment until they have read it."""
        self.send_to_watchers(HostEnded())
        with suppress(TimeoutError):
            async with asyncio.timeout(_ENDED_S):
                if self._watchers:
                    # It may still be set from an earlier time without gateways.
                    self._unwatched.clear()
                    await self._unwatched.wait()

    async def _switch_engine(self, question: SwitchQuestion, _call: Any) -> SwitchReply:
        refusal = await self._switch.switch(question.engine, question.action, breaks_off=question.breaks_off)
        return SwitchReply(refusal)

    async def _serve_watch(self, _messages: Any, call: Any) -> None:
        hello = None
        with suppress(TimeoutError):
            async with asyncio.timeout(SILENT_S):
                hello = await call.read()
        if not isinstance(hello, GatewayHello):
            await call.abort(grpc.StatusCode.INVALID_ARGUMENT, "a Watch begins with a gateway's hello")
            return  # never reached: `abort` raises, but grpcio has no types
        if len(self._watchers) >= _MOST_WATCHES:
            await call.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many gateways watch this host")
        watcher = _Watcher()
        if not self._watchers:
            self._hosts.tell(Watched(is_first=True))
        self._watchers.add(watcher)
        _log.info("host.watch.started", gateway=hello.machine)
        watcher.send(HostHello(self.machine))
        for state in self._hosts.states.values():
            watcher.send(state)
        if self._is_leaving:
            watcher.send(HostLeaves())
        work = {
            asyncio.create_task(self._read_until_silent(call)),
            asyncio.create_task(self._write_queue(watcher, call)),
            asyncio.create_task(watcher.is_slow.wait()),
        }
        try:
            await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._watchers.discard(watcher)
            if not self._watchers:
                self._unwatched.set()
            for task in work:
                task.cancel()
            await asyncio.wait(work)
            _log.info("host.watch.complete", gateway=hello.machine)

    async def _read_until_silent(self, call: Any) -> None:
        """Read until the gateway is silent or has gone."""
        with suppress(TimeoutError):
            while True:
                async with asyncio.timeout(SILENT_S):
                    message = await call.read()
                if message is grpc.aio.EOF or message is None:
                    return

    async def _write_queue(self, watcher: _Watcher, call: Any) -> None:
        message = None
        while not isinstance(message, HostEnded):
            message = await watcher.queue.get()
            await call.write(message)


class Agent:
    """A host. Its own processes and those of its engines have their sockets in a `folder`."""

    def __init__(self, config: Config, specs: tuple[HostedEngineSpec, ...], folder: Path) -> None:
        self._config, self._folder = config, folder
        environ = environ_for_hosts(os.environ, config.secrets)
        self._hosts = Hosts(
            specs, named_sockets_in(folder), lambda state: self._service.tell_state(state), environ
        )
        self._engines = tuple(spec.name for spec in specs)
        self._switch = EngineSwitch(self._hosts)
        self._service = AgentService(self._hosts, self._switch)
        self._stop_requested = asyncio.Event()
        self._dialling = ChildSupervisor(
            "dialling", self._begin_dialling, lambda *_state: None, lambda _message: None
        )
        self._page = MetricsPage(
            config.server.metrics,
            workers=0,
            ask_workers=_no_worker_metrics,
            figures=lambda: host_metrics(self._hosts),
            known_names=lambda: config.server.hosts,
            data=Path(config.data),
            is_ready=lambda: any(state.state == "ready" for state in list(self._hosts.states.values())),
        )

    async def run(self, announce: Callable[[str], None], *, ends_with_stdin: bool) -> int:
        """Serve until SIGTERM or Ctrl-C, or until standard input closes. Raise the error of failed hosts."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop_requested.set)
        if ends_with_stdin:
            loop.add_reader(sys.stdin.fileno(), self._on_stdin)
        self._page.start()
        server = self._bind()
        await server.start()
        hosts_task = asyncio.create_task(self._hosts.run())
        stop_wait = asyncio.create_task(self._stop_requested.wait())
        side_tasks = [asyncio.create_task(self._service.run()), asyncio.create_task(self._switch.run())]
        dialling_task = asyncio.create_task(self._dialling.run())
        announce(", ".join(self._config.host.gateways))
        try:
            await asyncio.wait([hosts_task, stop_wait], return_when=asyncio.FIRST_COMPLETED)
            # The hosts run until `_drain` ends them. If they are done before, they have failed.
            if not hosts_task.done():
                await self._drain()
            await hosts_task
        finally:
            await self._dialling.stop(0.0)
            for task in (stop_wait, dialling_task, *side_tasks):
                task.cancel()
            await server.stop(None)
            self._page.stop()
        return 0

    async def _begin_dialling(self) -> Child:
        section, child = self._config.host, await Child.start("proxy.processes.dialling")
        names = (self._service.machine, __version__, self._engines, str(self._folder), section.authority)
        child.send(BeginDialling(section.gateways, section.api_key, *names))
        return child

    def _bind(self) -> Any:
        server = grpc.aio.server(options=OPTIONS)
        server.add_generic_rpc_handlers((self._service,))
        server.add_insecure_port(messages.target(str(self._folder / f"{AGENT}.sock")))
        return server

    async def _drain(self) -> None:
        """Tell the gateways to send nothing new. Let the hosts finish their work, and then end them."""
        drain_s = self._config.server.drain_s
        _log.info("host.drain.started", within_s=drain_s)
        self._service.announce_leaving()
        await asyncio.sleep(_LEAVE_S)
        await self._hosts.stop(drain_s)
        await self._service.announce_end()
        _log.info("host.drain.complete")

    def _on_stdin(self) -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            self._stop_requested.set()


async def _no_worker_metrics() -> list[WorkerMetrics]:
    return []


def host_that_joins(section: HostSection, url: str, environ: Mapping[str, str]) -> HostSection:
    """Return [host] for `--join`. Raises CannotServe without a key, or for no address of a gateway."""
    key = environ.get("VOXGATE_HOST_KEY", "") or section.api_key
    if not key:
        raise CannotServe("VOXGATE_HOST_KEY is missing: a key of voxgate keys create --role host")
    joining = msgspec.structs.replace(section, gateways=(url,), api_key=key)
    try:
        msgspec.convert(joining.gateways, tuple[Gateway, ...])
    except msgspec.ValidationError:
        raise CannotServe(f"--join: {url} is no https://NAME; only loopback does without TLS") from None
    return joining


def run_host(
    config: Config,
    specs: tuple[HostedEngineSpec, ...],
    announce: Callable[[str], None],
    *,
    ends_with_stdin: bool,
) -> int:
    """Run until SIGTERM or Ctrl-C. Return the exit status, or raise CannotServe."""
    if not config.host.gateways:
        raise CannotServe("host.gateways: is missing; or give --join https://GATEWAY")
    if not specs:
        raise CannotServe("engines: this host has none; add an [engines.NAME] that runs in a host")
    if not forbid_dumps():
        _log.warning("server.confinement.missing", what="not dumpable")
    with ExitStack() as stack:
        # Several `voxgate host` on one machine share this folder, because it has the models.
        stack.enter_context(data_folder.lock_data_folder(Path(config.data), is_shared=True))
        made = tempfile.TemporaryDirectory(prefix="voxgate-", dir=runtime_base(), ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(made))

        async def run() -> int:
            # The agent is made in the loop, because gRPC's server belongs to the loop in which it is made.
            return await Agent(config, specs, folder).run(announce, ends_with_stdin=ends_with_stdin)

        return asyncio.run(run())
