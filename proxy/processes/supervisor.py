"""The supervisor of `voxgate serve`: it starts, reloads, drains and ends the workers and its parts.

`voxgate worker` has the same supervisor without a port.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, ExitStack, suppress
from pathlib import Path

import msgspec
import structlog

from proxy.config.config_toml import Config, ConfigError, listener_of
from proxy.config.reload import Reload, dropped_plans, merge_config
from proxy.engines.registry import Registry
from proxy.errors import CannotServe
from proxy.feature_list import all_sections, supervisor_parts
from proxy.file_store import data_folder
from proxy.helpers.child import Child
from proxy.processes import runtime
from proxy.processes.workers import Workers
from proxy.storage.rows import new_id
from proxy.supervisor_part import NO_HOST, SupervisorPart, SupervisorTools, WorkerReply
from speech_engine.host import pipe_messages
from speech_engine.host.process_rights import forbid_dumps

_SETTLING_S = 12.0
"""The time after the drain: cancelled answers settle, the store closes."""
_PLANS_TIMEOUT_S = 5.0
"""The time that a worker has to read from the database which plans are in use."""
_FORGET_TIMEOUT_S = 8.0
"""The time that a worker has to forget a voice, and to end its streams."""

_log = structlog.get_logger()

Announce = Callable[[str, str | None], None]
"""Called with (address, dev key) when the server serves. A `voxgate worker` has neither."""


def serve(config: Config, reread: Callable[[], Config], registry: Registry, announce: Announce) -> int:
    """Run until SIGTERM or Ctrl-C. Return the exit status, or raise CannotServe. SIGHUP calls `reread`."""
    try:
        return _serve(config, reread, registry, announce)
    except CannotServe as error:
        raise CannotServe(f"voxgate could not start: {error}; voxgate doctor says more") from None


def _serve(config: Config, reread: Callable[[], Config], registry: Registry, announce: Announce) -> int:
    if config.serves and config.server.dev_key:
        runtime.check_dev_key(config.server.host)
    if not forbid_dumps():
        _log.warning("server.confinement.missing", what="not dumpable")
    with ExitStack() as stack:
        stack.enter_context(data_folder.lock_data_folder(Path(config.data)))
        http = None
        if (listener := listener_of(config)) is not None:
            http = stack.enter_context(runtime.open_listener(*listener))
        folder = stack.enter_context(runtime.runtime_folder(Path(config.data)))
        control = stack.enter_context(runtime.control_socket(folder))
        _log_warnings(config)
        supervisor = Supervisor(config, reread, registry, http, control, folder, announce)
        return asyncio.run(supervisor.run())


def is_running(config: Config) -> bool:
    return data_folder.is_held(Path(config.data))


def _log_warnings(config: Config) -> None:
    for remark in config.warnings:
        _log.warning("config.read.warned", key=remark.key, reason=remark.text)
    if config.used_clusters and listener_of(config) is None:
        why = "is missing: no host can dial this worker, so its clusters have none"
        _log.warning("config.read.warned", key="server.links", reason=why)


class Supervisor:
    """`http` is None for a `voxgate worker` that takes no links of hosts."""

    def __init__(
        self,
        config: Config,
        reread: Callable[[], Config],
        registry: Registry,
        http: socket.socket | None,
        control: socket.socket,
        folder: Path,
        announce: Announce,
    ) -> None:
        self._config = config
        self._reread = reread
        self._revision = 1
        self._began_micros = time.time_ns() // 1000
        self._machine = new_id("mch")
        self._http = http
        self._control = control
        self._announce = announce
        self._workers = Workers(
            config.server.workers,
            self._begin_worker,
            self._announce_ready,
            self._on_question,
            self._on_worker_end,
        )
        tools = SupervisorTools(
            config,
            lambda: self._config,
            registry,
            folder,
            self._machine,
            self._workers.send_to,
            self._workers.send_to_all,
            self._ask_ready_workers,
            self._run_soon,
            lambda: (metric for part in self._parts for metric in part.part_metrics()),
        )
        self._parts: list[SupervisorPart] = supervisor_parts(tools)
        self._stop_requested, self._second_signal = asyncio.Event(), asyncio.Event()
        self._running_tasks: set[asyncio.Task[object]] = set()
        self._reload_lock = asyncio.Lock()

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._run_soon(self._reload()))
        running: list[asyncio.Task[None]] = []
        stop_wait = asyncio.create_task(self._stop_requested.wait())
        async with AsyncExitStack() as started:
            started.callback(stop_wait.cancel)
            for part in self._parts:
                task = part.start_tasks()
                started.push_async_callback(part.stop_part)
                running += [] if task is None else [task]
            running.append(asyncio.create_task(self._workers.run()))
            await asyncio.wait([*running, stop_wait], return_when=asyncio.FIRST_COMPLETED)
            await self._wait_for_load_balancers()
            await self._drain(started)
            await asyncio.gather(*running)
        if self._workers.have_failed and not self._workers.is_announced:
            raise CannotServe(self._workers.list_failed()[0].reason)
        return 1 if self._workers.have_failed else 0

    def _on_signal(self) -> None:
        """Stop the server. A second signal skips `drain_lag_s`."""
        (self._second_signal if self._stop_requested.is_set() else self._stop_requested).set()

    async def _wait_for_load_balancers(self) -> None:
        """Serve on for `drain_lag_s`, so that load balancers see that the server is not ready."""
        lag_s = self._config.server.drain_lag_s
        if self._http is None or not lag_s or not self._workers.is_announced or self._workers.have_failed:
            return
        _log.info("server.leave.started", within_s=lag_s)
        self._workers.send_to_all(pipe_messages.Leaving())
        with suppress(TimeoutError):
            async with asyncio.timeout(lag_s):
                await self._second_signal.wait()

    async def _drain(self, started: AsyncExitStack) -> None:
        """Refuse new clients and stop the workers, which wait, abort and settle. Then stop the parts."""
        _log.info("server.drain.started", within_s=self._config.server.drain_s)
        if self._http is not None:
            self._http.close()  # else this copy would accept clients for workers that take none
        self._control.close()
        await self._workers.stop(self._config.server.drain_s + _SETTLING_S)
        await started.aclose()
        _log.info("server.drain.complete")

    def _on_question(self, number: int, message: pipe_messages.WorkerQuestion) -> None:
        match message:
            case pipe_messages.ReloadQuestion(question):
                self._run_soon(self._reload_for_worker(number, question))
            case pipe_messages.ErasureQuestion():
                self._run_soon(self._spread_erasure(number, message))
            case _:
                is_answered = any(part.answer_worker(number, message) for part in self._parts)
                if not is_answered and isinstance(message, pipe_messages.EngineQuestion):
                    refusal = f"{message.engine} {NO_HOST}"
                    self._workers.send_to(number, pipe_messages.EngineSwitched(message.question, refusal))

    def _on_worker_end(self, number: int) -> None:
        for part in self._parts:
            part.note_worker_end(number)

    async def _spread_erasure(self, number: int, message: pipe_messages.ErasureQuestion) -> None:
        is_everywhere = await self._workers.ask_to_forget(
            lambda question: pipe_messages.ForgetQuestion(question, message.subject, message.digests),
            _FORGET_TIMEOUT_S,
        )
        self._workers.send_to(number, pipe_messages.ErasureSpread(message.question, is_everywhere))

    def _run_soon(self, work: Coroutine[None, None, object]) -> None:
        task: asyncio.Task[object] = asyncio.create_task(work)
        self._running_tasks.add(task)
        task.add_done_callback(self._end_task)

    def _end_task(self, task: asyncio.Task[object]) -> None:
        self._running_tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("server.task.failed", exc_info=error)

    async def _reload_for_worker(self, number: int, question: int) -> None:
        result = await self._reload()
        # It follows the revision on the same pipe, so a worker with the answer serves the new configuration.
        self._workers.send_to(number, msgspec.structs.replace(result, question=question))

    async def _reload(self) -> pipe_messages.ReloadResult:
        """Read the file again, after reloads under way. A faulty file changes nothing."""
        async with self._reload_lock:
            return await self._apply_new_config()

    async def _apply_new_config(self) -> pipe_messages.ReloadResult:
        try:
            reload = merge_config(self._config, self._reread(), all_sections())
            await self._keep_plans_in_use(reload)
        except ConfigError as error:
            _log.error("config.reload.refused", revision=self._revision, reason=str(error))
            return pipe_messages.ReloadResult(question=0, refusal=str(error))
        _log_warnings(reload.config)
        self._config = reload.config
        self._revision += 1
        self._workers.send_to_all(self._revision_message())
        _log.info(
            "config.reload.started",
            revision=self._revision,
            changed=reload.changed,
            needs_restart=reload.needs_restart,
        )
        # Only the question of a worker has a number, which `_reload_for_worker` adds.
        return pipe_messages.ReloadResult(0, reload.changed, reload.needs_restart)

    async def _keep_plans_in_use(self, reload: Reload) -> None:
        """Raise ConfigError if accounts have, or may have, a plan that the new file lacks."""
        dropped = dropped_plans(self._config, reload.config)
        if not dropped:
            return
        answers = await self._workers.ask_workers(
            lambda question: pipe_messages.PlansQuestion(question, dropped),
            self._workers.ready_numbers[:1],
            _PLANS_TIMEOUT_S,
        )
        names_in_use = [reply.names for *_, reply in answers if isinstance(reply, pipe_messages.PlansInUse)]
        names = ", ".join(sum(names_in_use, ()) or dropped)
        if not names_in_use:
            raise ConfigError(f"plans: whether accounts are on {names} is not known just now")
        if any(names_in_use):
            raise ConfigError(f"plans: accounts are on {names}; give them another plan first")

    def _revision_message(self) -> pipe_messages.Revision:
        return pipe_messages.Revision(
            self._revision, msgspec.msgpack.encode(self._config), self._began_micros, self._machine
        )

    async def _begin_worker(self, number: int) -> Child:
        inherit = [] if self._http is None else [self._http.fileno()]
        if number == 0:
            inherit.append(self._control.fileno())
        child = await Child.start("proxy.processes.worker", str(number), inherit=tuple(inherit))
        state: list[pipe_messages.Message] = [
            self._revision_message(),
            *(message for part in self._parts for message in part.worker_messages()),
            *self._workers.list_failed(),
            *([pipe_messages.Leaving()] if self._stop_requested.is_set() else []),
        ]
        for message in state:
            child.send(message)
        return child

    def _announce_ready(self, dev_key: str | None) -> None:
        if self._stop_requested.is_set():
            return
        if self._http is None:
            self._announce("", None)
            return
        host, port = self._http.getsockname()[:2]
        self._announce(f"http://{f'[{host}]' if ':' in host else host}:{port}", dev_key)

    async def _ask_ready_workers(
        self, question: Callable[[int], pipe_messages.Question], within_s: float
    ) -> list[WorkerReply]:
        return await self._workers.ask_workers(question, self._workers.ready_numbers, within_s)
