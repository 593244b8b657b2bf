"""An engine in host processes, as a worker uses it. Slots and queue are the host's."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import AsyncIterable, Callable, Collection, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
import structlog

from policies.device_reservations import TRY_AGAIN_S
from proxy.engines.hello_engine import HelloEngine
from proxy.engines.local_samples import SampleOrder, find_model
from proxy.engines.sample_source import NO_SOURCE, SampleSource
from proxy.hosts.cluster.cluster_suspects import ClusterSuspects
from proxy.hosts.host_process import HelloRefused, HostProcess, open_channel, sum_of_health
from proxy.hosts.host_stream import HostStream
from proxy.hosts.process_choice import PATIENCE_S, ProcessChoice, voice_of
from proxy.hosts.sample_delivery import SampleDelivery
from speech_engine import API_VERSION, EngineFailed, EngineUnavailable, SpeechJob, Work
from speech_engine.host import messages
from speech_engine.host.cluster_messages import FORGOTTEN_S, ProcessJobs
from speech_engine.host.engine_stream import OnDispatch, ignore_dispatch
from speech_engine.host.pipe_messages import HostNews, HostState

FIRST_HOSTS_S = 3.0
"""The time after a start in which the hosts of a cluster are still expected."""
HEALTH_S = 1.0
"""A list of engines must not wait for a frozen one."""

_log = structlog.get_logger()


class HostedEngine(HelloEngine):
    """A `speech_engine.Engine` that speaks through its ready hosts, which may be those of a cluster."""

    def __init__(self, name: str, source: SampleSource = NO_SOURCE, *, is_clustered: bool = False) -> None:
        self.name = name
        self._is_clustered = is_clustered
        self.suspects = ClusterSuspects() if is_clustered else None
        self._created_at = self._last_start_at = time.monotonic()
        self.brings_voices_within_s = 0.0
        """The time after a start in which a request for an unknown voice waits, as this may bring it."""
        self._call_prefix = secrets.token_hex(4)
        self._without_hello: dict[int, HostProcess] = {}
        """Ready processes that have not answered Hello yet."""
        self._leaving: dict[int, HostProcess] = {}
        self._with_other_models: dict[int, HostProcess] = {}
        """Ready processes with other models than those in use."""
        self._lost_at = -FORGOTTEN_S
        """When a machine of the cluster was last lost: it may have recordings for `FORGOTTEN_S` more."""
        self._delivery = SampleDelivery(source)
        self.fetched_languages: tuple[str, ...] = ()  # what it will speak, if it is being fetched
        self.states: dict[int, HostState] = {}
        self._processes: dict[int, HostProcess] = {}  # by the number in their states
        self._ready_at: dict[int, float] = {}
        """When a starting process will be ready, if it takes as long as its last start."""
        self._choice = ProcessChoice()
        self.on_models_changed: Callable[[], None] = lambda: None
        self.on_wanted: Callable[[str], None] = lambda _name: None
        """Called with the engine's name when a request needs it and it loads on demand."""
        self._hello = messages.HelloReply(API_VERSION, 0, (), ())
        self.changed = asyncio.Event()
        """Set when the state of a process has changed. Each waiter clears it before its wait."""
        self._has_room = asyncio.Event()
        self._calls = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        running = sum(process.running for process in self._processes.values())
        return f"<HostedEngine {self.name}: {self.state}, {running} running>"

    @property
    def processes(self) -> Collection[HostProcess]:
        return self._processes.values()

    @property
    def slots(self) -> int:
        return self._hello.slots * len(self._processes)

    @property
    def state(self) -> str:
        """`ready` if a process is; else the first of `starting`, `restarting`, `waiting`, `installing`; else
        `unloaded` if one loads on demand; else the first of `failed`, `leaving` and `unloaded`. Without any
        process, it is `starting` until hosts are due, then `failed`."""
        states = {state.state for state in self.states.values()}
        if self._processes:
            return "ready"
        for name in ("starting", "restarting", "waiting", "installing"):
            if name in states:
                return name
        if any(state.loads_on_demand for state in self.states.values()):
            return "unloaded"
        if not states and self._hosts_are_due:
            return "failed"
        if "ready" in states or not states:
            return "starting"  # the supervisor has seen it ready, and it has not answered Hello here yet
        return next((name for name in ("failed", "leaving") if name in states), "unloaded")

    @property
    def reason(self) -> str:
        if not self.states and self._hosts_are_due:
            return "no host of its cluster is there, or none has it"
        if number := len(self._with_other_models):
            return f"{number} process(es) with other models wait until those in use have ended"
        return next((_reason_with_host(state) for state in self.states.values() if state.reason), "")

    @property
    def _hosts_are_due(self) -> bool:
        """Whether the hosts of a cluster would be here by now."""
        return self._is_clustered and time.monotonic() - self._created_at >= FIRST_HOSTS_S

    @property
    def can_load_now(self) -> bool:
        return self.state == "unloaded" and any(state.loads_on_demand for state in self.states.values())

    @property
    def load_progress(self) -> float | None:
        parts = [state.loaded for state in self.states.values() if state.state in ("starting", "installing")]
        return max(parts, default=0.0) or None if self.state in ("starting", "installing") else None

    @property
    def may_bring_voices(self) -> bool:
        is_loading = self.state == "starting" and not self.models()
        return is_loading and time.monotonic() - self._last_start_at < self.brings_voices_within_s

    @property
    def is_busy(self) -> bool:
        return any(process.running for process in self._processes.values())

    @property
    def has_line(self) -> bool:
        """Whether texts wait for a slot, as far as this worker knows."""
        return sum(process.load for process in self._processes.values()) > self.slots

    def update_host(self, news: HostNews) -> None:
        if isinstance(news, ProcessJobs):
            if (process := self._processes.get(news.process)) is not None:
                process.note_jobs(news)
            return
        try:
            self._note_state(news)
        except Exception as error:  # noqa: BLE001 - the seam around a plugin: its host's state ends itself alone
            _log.error("engine.host.failed", engine=self.name, exc_info=error)
            self.refuse(news, f"its host's state cannot be used: {type(error).__name__}")

    def _note_state(self, state: HostState) -> None:
        """Note the new state of one process. Say Hello to the process if it is ready."""
        self.states[state.process] = state
        self.changed.set()
        if state.hello and not self.models():
            self._take_hello(messages.decode_hello(state.hello), state.licence)
            self.on_models_changed()
        if state.loaded:
            return  # the process is still starting, and only tells how far it is
        if (without_hello := self._without_hello.pop(state.process, None)) is not None:
            without_hello.note_death(state)
        if state.state == "leaving":
            self._leave(state.process)
            return
        self._ready_at.pop(state.process, None)
        if state.state == "starting":
            self._last_start_at = time.monotonic()
        if state.state in ("starting", "restarting"):
            self._ready_at[state.process] = asyncio.get_running_loop().time() + state.loads_s
        self._end_last_life(state)
        if state.state == "ready":
            self._start_task(self._say_hello(state))
        elif state.state == "gone":
            del self.states[state.process]
            self._has_room.set()
        self._admit_other_models()

    def _end_last_life(self, state: HostState) -> None:
        """Close what is left of the process that had this number before the new state."""
        if state.lost_at is not None:
            self._lost_at = max(self._lost_at, state.lost_at)
        if state.has_crashed and self.suspects is not None:
            self.suspects.note_crash(state.begun, state.killer)
        for processes in (self._processes, self._leaving, self._with_other_models):
            if (process := processes.pop(state.process, None)) is not None:
                process.note_death(state)
                # Closing waits for the calls under way, and the next process must not.
                self._start_task(process.close())

    def _leave(self, number: int) -> None:
        """Give a process no new calls. It keeps those under way, and its recordings."""
        process = self._processes.pop(number, None) or self._with_other_models.pop(number, None)
        if process is not None:
            process.is_leaving = True
            self._leaving[number] = process
        self._has_room.set()
        self._admit_other_models()

    def _admit_other_models(self) -> None:
        """Use the processes with other models once none is left with those in use."""
        if self._processes or not self._with_other_models:
            return
        first = next(iter(self._with_other_models.values()))
        for number, process in list(self._with_other_models.items()):
            if process.hello.models == first.hello.models:
                self._processes[number] = self._with_other_models.pop(number)
        self._take_hello(first.hello, self.states[next(iter(self._processes))].licence)
        self.on_models_changed()
        self.changed.set()

    @property
    def introduction(self) -> bytes:
        return msgspec.msgpack.encode(self._hello)

    def introduce(self, introduction: bytes) -> None:
        """Take the models and voices from another server, unless its API version differs."""
        try:
            hello = messages.decode_hello(introduction)
        except ValueError as error:
            _log.warning("engine.introduction.refused", engine=self.name, reason=str(error))
            return
        if hello.api_version == API_VERSION:
            self._take_hello(hello, "")
            self.on_models_changed()

    async def health(self) -> messages.HealthReport:
        """Return the sum over the processes that answer."""
        question, kind = messages.HealthQuestion(), messages.HealthReport
        questions = [each.ask("Health", question, kind, HEALTH_S) for each in list(self._processes.values())]
        answers = await asyncio.gather(*questions, return_exceptions=True)
        return sum_of_health([each for each in answers if isinstance(each, messages.HealthReport)])

    def open(
        self,
        work: Work,
        on_dispatch: OnDispatch = ignore_dispatch,
        pcm: AsyncIterable[bytes] | None = None,
    ) -> HostStream:
        return HostStream(self, work, on_dispatch, pcm)

    def next_call(self) -> str:
        return f"{self._call_prefix}-{next(self._calls)}"

    async def ready_process(self, work: Work, deadline: float) -> HostProcess:
        """Return a ready process for this work. Wait until one is there. Raises EngineUnavailable."""
        tenant = work.tenant
        await self._wait_ready(deadline)
        self._choice.note(tenant)
        now = asyncio.get_running_loop().time
        # At most half of the remaining time is spent on waiting.
        patient_until = now() + min(PATIENCE_S, (deadline - now()) / 2)
        while (process := self._choose(work, is_patient=now() < patient_until)) is None:
            self._has_room.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(patient_until):
                    await self._has_room.wait()
            await self._wait_ready(deadline)
        return process

    def _choose(self, work: Work, *, is_patient: bool) -> HostProcess | None:
        processes, slots = self._processes.values(), self._hello.slots
        return self._choice.choose(
            processes, work.tenant, slots, is_patient=is_patient, voice=partial(voice_of, work)
        )

    def check_available(self, work: Work) -> None:
        """Raise EngineUnavailable if it is known that this work would not begin in time. Request the hosts if
        they load on demand."""
        self._check_available(asyncio.get_running_loop().time() + work.deadline_s)

    def _check_available(self, deadline: float) -> None:
        if self._processes:
            return
        if self._is_clustered and not self.states:
            if self._hosts_are_due:
                raise EngineUnavailable(f"{self.name} has no host: none of its cluster is there.")
            return
        if self.state == "failed":
            raise EngineUnavailable(f"{self.name} is down: {self.reason}")
        if self.state in ("waiting", "installing"):
            raise EngineUnavailable(f"{self.name} {self.reason}", retry_after_s=TRY_AGAIN_S)
        if self.can_load_now:
            self.on_wanted(self.name)
            now = asyncio.get_running_loop().time()
            # The next start may take as long as the last one.
            for state in [each for each in self.states.values() if each.loads_on_demand]:
                self._ready_at[state.process] = now + state.loads_s
        elif self.state == "unloaded":
            raise EngineUnavailable(f"{self.name} is not loaded.")
        late_s = min(self._ready_at.values(), default=0.0) - deadline
        if late_s > 0.0:
            # Its last start took too long for this deadline, and other engines may be in time.
            raise EngineUnavailable(f"{self.name} is loading.", retry_after_s=late_s)

    async def _wait_ready(self, deadline: float) -> None:
        while not self._processes:
            self._check_available(deadline)
            self.changed.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self.changed.wait()
            except TimeoutError:
                raise EngineUnavailable(f"{self.name} is not ready yet.", retry_after_s=2.0) from None

    @property
    def samples_arrived(self) -> int:
        return self._delivery.arrivals

    async def bring_samples(
        self, process: HostProcess, job: SpeechJob, digests: tuple[str, ...], arrivals_before: int
    ) -> None:
        info = find_model(self.models(), job.model)
        if info is None:
            raise EngineFailed("The engine has no such model.")
        order = SampleOrder(process.number, process.put_sample, job, info, arrivals_before)
        await self._delivery.bring(digests, order)

    async def drop_samples(self, digests: Collection[str]) -> None:
        """Make every process forget these recordings. A dead process has none, as they are only in memory.

        When this returns, no job of these processes uses them any more. Raises EngineUnavailable if a process
        does not answer.
        """
        await self._delivery.end_transfers(digests)
        message = messages.DropSamples(tuple(digests))
        drops = [process.drop_samples(message) for process in self._all_processes()]
        for failure in await asyncio.gather(*drops, return_exceptions=True):
            if failure is not None:
                raise failure
        if self._is_clustered and time.monotonic() - self._lost_at < FORGOTTEN_S:
            raise EngineUnavailable("A host was lost, and may have a recording for a moment more.")

    async def close(self) -> None:
        # These end first: one that answers Hello now would never be closed.
        for process in self._without_hello.values():
            process.died.set()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._delivery.close()
        for process in self._all_processes():
            await process.close()

    def _all_processes(self) -> list[HostProcess]:
        """Return the processes that have answered Hello."""
        return [*self._processes.values(), *self._leaving.values(), *self._with_other_models.values()]

    async def _say_hello(self, state: HostState) -> None:
        if self.states.get(state.process) is not state:
            return
        try:
            channel = open_channel(state, is_local=not self._is_clustered)
        except ValueError as error:
            self.refuse(state, str(error))
            return
        place = f"{state.machine} {state.address}" if state.machine else ""
        process = self._without_hello[state.process] = HostProcess(channel, self._has_room.set, place)
        is_admitted = False
        try:
            if not await process.say_hello(self.name, is_local=not self._is_clustered):
                return  # it died or left meanwhile
            del self._without_hello[state.process]
            is_admitted = True
            if self._is_clustered and self._processes and process.hello.models != self._hello.models:
                self._with_other_models[state.process] = process
                _log.warning("host.models.differ", engine=self.name, machine=state.machine)
                return
            self._take_hello(process.hello, state.licence)
            self.on_models_changed()
            self._processes[state.process] = process
            self.changed.set()
        except HelloRefused as refused:
            self.refuse(state, str(refused))
        finally:
            if not is_admitted:
                await process.close()

    def refuse(self, state: HostState, reason: str) -> None:
        """Use this process no more, for a reason."""
        _log.warning("host.hello.refused", engine=self.name, reason=reason)
        self.states[state.process] = msgspec.structs.replace(state, state="failed", reason=reason)
        self.changed.set()

    def _start_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _reason_with_host(state: HostState) -> str:
    """Return the reason of a state. It names the host if that is on another machine."""
    is_named = not state.machine or state.machine in state.reason
    return state.reason if is_named else f"{state.machine}: {state.reason}"
