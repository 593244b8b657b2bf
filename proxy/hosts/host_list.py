"""The supervisor's hosts: for every hosted engine its processes, their states, their sockets.

An operator loads, unloads and restarts engines while the server runs. A new start uses the current version of
its model. A restart after a crash keeps its version. An engine whose model or environment is missing starts
once it is there.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack

import structlog

from policies.device_reservations import DeviceMemory, DeviceReservations, Holder, LoadRefusal
from proxy.engines.registry import HostedEngineSpec
from proxy.hosts import stored_models
from proxy.hosts.environments import environments
from proxy.hosts.environments.environments import EnvironmentRefused
from proxy.hosts.host import EngineSuspects, FindPlace, Host, Python
from proxy.supervisor_part import NO_HOST
from speech_engine.host.booking_messages import BookingQuestion
from speech_engine.host.cluster_messages import HostLoad, Watched
from speech_engine.host.pipe_messages import EngineAction, HostState
from speech_engine.model_declarations import UnusableModel

_LOOK_EVERY_S = 0.5
_LOOKS_PER_TRY = 6
"""At one in so many looks, engines whose model or environment was missing are tried again."""
STOP_S = 2.0
"""The time in which a host may finish its work. After that, the work is broken off."""

_log = structlog.get_logger()


def _with_current_model(spec: HostedEngineSpec) -> HostedEngineSpec:
    """Raise UnusableModel."""
    section, models = stored_models.with_models(spec.section, spec.model_format, spec.data)
    return spec._replace(section=section, models=models)


def _removed_reason(spec: HostedEngineSpec) -> str:
    return f"{', '.join(model.manifest.name for model in spec.models)}: the model has just been removed"


class Hosts:
    """All hosts of the server, started together. `on_state` gets each change, for the workers. A host gets
    no environment variables except `environ`."""

    def __init__(
        self,
        specs: tuple[HostedEngineSpec, ...],
        find_place: FindPlace,
        on_state: Callable[[HostState], None],
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.states: dict[tuple[str, int], HostState] = {}
        self._environ = environ
        self._on_state = on_state
        # The key of the digests by which texts that kill are known.
        self._digest_key = secrets.token_bytes(32)
        self._supervision: asyncio.TaskGroup | None = None
        self._stopping = asyncio.Event()
        self._suspects: list[EngineSuspects] = []
        self._model_locks: dict[str, ExitStack] = {}
        self._reservations = DeviceReservations()
        # The processes of each worker that have asked for memory, until they release it.
        self._worker_holders: dict[int, set[Holder]] = {}
        self._find_place = find_place
        self._missing: dict[str, HostedEngineSpec] = {}
        self._hosts = [host for spec in specs for host in self._make_hosts(spec)]

    # The metrics page also calls these two, in a thread of its own, while hosts may be added.
    def figures(self) -> dict[tuple[str, str], dict[str, float]]:
        return {host.labels: host.figures for host in list(self._hosts) if host.figures}

    def loads(self) -> dict[tuple[str, int], HostLoad]:
        """Return the load of each process that has told it."""
        return {host.holder: host.load for host in list(self._hosts) if host.load is not None}

    def tell(self, message: Watched) -> None:
        for host in self._hosts:
            host.tell(message)

    async def run(self) -> None:
        """Run until `stop`."""
        watching = asyncio.create_task(self._watch())
        try:
            async with asyncio.TaskGroup() as self._supervision:
                for host in self._hosts:
                    if not host.leave_unloaded():
                        self.supervise(host)
                await self._stopping.wait()
        finally:
            watching.cancel()
            for locks in self._model_locks.values():
                locks.close()

    def hosts_of(self, engine: str) -> list[Host]:
        """Return the hosts of an engine, also hosts that have failed or are not loaded."""
        return [host for host in self._hosts if host.spec.name == engine]

    def list_idle(self) -> list[str]:
        """List the engines that are ready, and whose processes have been without work for long."""
        now = time.monotonic()
        ready = {host.spec.name for host in self._hosts if host.supervisor.state == "ready"}
        return [name for name in ready if all(host.is_idle(now) for host in self.hosts_of(name))]

    def use_current_model(self, engine: str) -> str:
        """Let the next processes of an engine use the current version of its model.

        Return why that is impossible, or "".
        """
        hosts = self.hosts_of(engine)
        try:
            spec = _with_current_model(hosts[0].spec)
            self._lock_model(spec)
        except UnusableModel as fault:
            return f"engines.{engine}.model: {fault}"
        except OSError:
            return _removed_reason(hosts[0].spec)
        for host in hosts:
            host.spec = spec
        return ""

    def supervise(self, host: Host) -> None:
        if self._supervision is not None and not self._stopping.is_set():
            host.supervise(self._supervision)

    def book(self, worker: int, question: BookingQuestion) -> LoadRefusal | None:
        holder = (question.holder, worker)
        self._worker_holders.setdefault(worker, set()).add(holder)
        found = DeviceMemory(question.device, question.free_gb, question.total_gb)
        return self._reservations.book_memory(holder, question.needs_gb, found)

    def note_peak(self, worker: int, holder: str, gb: float) -> None:
        self._reservations.note_peak((holder, worker), gb)

    def release(self, worker: int, holder: str) -> None:
        self._worker_holders.get(worker, set()).discard((holder, worker))
        self._reservations.release((holder, worker))
        self._wake_next()

    def release_worker(self, worker: int) -> None:
        """Release all bookings of a worker that has ended, since its processes have ended too."""
        for holder, _ in self._worker_holders.pop(worker, set()):
            self.release(worker, holder)

    async def stop(self, within_s: float) -> None:
        self._stopping.set()
        await asyncio.gather(*(host.supervisor.stop(within_s) for host in self._hosts))

    def _make_hosts(self, spec: HostedEngineSpec) -> list[Host]:
        try:
            spec = _with_current_model(spec)
            python = Python(environments.interpreter(spec.section.plugin, spec.hosted), self._environ)
            self._lock_model(spec)
        except EnvironmentRefused as refused:
            return self._note_missing(spec, str(refused))
        except UnusableModel as fault:
            return self._note_missing(spec, f"engines.{spec.name}.model: {fault}")
        except OSError:
            return self._note_missing(spec, _removed_reason(spec))
        self._missing.pop(spec.name, None)
        suspects = EngineSuspects(spec.name, self._digest_key)
        self._suspects.append(suspects)
        hosts = [
            Host(spec, process, python, self._find_place, self._note_state, suspects, self._reservations)
            for process in range(spec.processes)
        ]
        suspects.hosts = hosts
        return hosts

    def _lock_model(self, spec: HostedEngineSpec) -> None:
        """Lock the current model of an engine against removal, and unlock its other versions. Raise
        OSError."""
        locks = ExitStack()
        for model in spec.models:
            locks.enter_context(stored_models.hold(model.folder))
        if earlier_locks := self._model_locks.get(spec.name):
            earlier_locks.close()
        self._model_locks[spec.name] = locks

    def _note_missing(self, spec: HostedEngineSpec, reason: str) -> list[Host]:
        """Note that an engine cannot start yet. Return its hosts: none."""
        if spec.name not in self._missing:
            _log.info("host.start.postponed", engine=spec.name, reason=reason)
        self._missing[spec.name] = spec
        for process in range(spec.processes):
            self.states[spec.name, process] = HostState(spec.name, process, 0, "failed", reason)
        return []

    def _start_missing(self) -> None:
        for spec in list(self._missing.values()):
            self._hosts += (hosts := self._make_hosts(spec))
            for host in hosts:
                self.supervise(host)

    async def _watch(self) -> None:
        for look in itertools.count(1):
            await asyncio.sleep(_LOOK_EVERY_S)
            if look % _LOOKS_PER_TRY == 0:
                self._start_missing()
            for host in self._hosts:
                host.kill_if_frozen(time.monotonic())
            for suspects in self._suspects:
                suspects.tell_changes()

    def _note_state(self, state: HostState) -> None:
        self.states[state.engine, state.process] = state
        self._on_state(state)
        self._wake_next()

    def _wake_next(self) -> None:
        may_load = self._reservations.book_waiting()
        for host in self._hosts:
            if host.holder in may_load:
                host.supervisor.wake()


class EngineSwitch:
    """Loads, unloads and restarts engines for operators, and unloads idle ones: one action at a time."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._switching = asyncio.Lock()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            async with self._switching:
                for engine in self._hosts.list_idle():
                    _log.info("engine.idle.unloaded", engine=engine)
                    await asyncio.gather(
                        *(host.unload(STOP_S, is_idle=True) for host in self._hosts.hosts_of(engine))
                    )

    async def load_on_demand(self, engine: str) -> None:
        """Load an engine that waits for a request. An engine that an operator unloaded stays unloaded."""
        async with self._switching:
            for host in self._hosts.hosts_of(engine):
                if host.loads_on_demand:
                    self._hosts.supervise(host)

    async def switch(self, engine: str, action: EngineAction, *, breaks_off: bool) -> str:
        """Carry out an action. Return why it is refused, or "". A load may take minutes after this
        returns. If nothing is left to do, that is no refusal."""
        hosts = self._hosts.hosts_of(engine)
        async with self._switching:
            if refusal := _refusal(engine, action, hosts, breaks_off=breaks_off):
                return refusal
            if _is_done(action, hosts):
                return ""
            is_running = any(host.is_supervised for host in hosts)
            is_new_start = action == "restart" or (action == "load" and not is_running)
            # This comes before the unload: if the new model is unusable, the engine goes on with the old one.
            if is_new_start and (refusal := self._hosts.use_current_model(engine)):
                return refusal
            _log.info("engine.switch.started", engine=engine, action=action)
            if action != "load":
                is_for_restart = action == "restart"
                await asyncio.gather(*(host.unload(STOP_S, is_for_restart=is_for_restart) for host in hosts))
            if action != "unload":
                for host in hosts:
                    if host.is_supervised:
                        host.supervisor.wake()
                    else:
                        self._hosts.supervise(host)
        return ""


def _refusal(engine: str, action: EngineAction, hosts: list[Host], *, breaks_off: bool) -> str:
    if not hosts:
        return f"{engine} {NO_HOST}"
    jobs = sum(host.jobs for host in hosts)
    if action != "load" and jobs and not breaks_off:
        return f"{engine} is busy with {jobs} jobs; wait, or break them off with --now"
    return ""


def _is_done(action: EngineAction, hosts: list[Host]) -> bool:
    if action == "load":
        return all(host.is_supervised and host.supervisor.state != "waiting" for host in hosts)
    # A restart is never done: it ends processes that live.
    return action == "unload" and not any(host.is_supervised or host.loads_on_demand for host in hosts)
