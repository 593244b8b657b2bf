"""An engine in host processes, as a worker uses it.

It keeps no queue: slots and queue are the host's.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterable, Callable, Collection, Coroutine
from contextlib import suppress
from typing import Any

import grpc
import msgspec
import structlog

from policies.device_reservations import TRY_AGAIN_S
from proxy.engines.host_process import HostProcess
from proxy.engines.host_stream import HostStream
from proxy.engines.in_process import Introduced
from proxy.engines.local_samples import find_model
from proxy.engines.process_choice import PATIENCE_S, ProcessChoice
from proxy.engines.sample_delivery import SampleDelivery, SampleOrder
from proxy.engines.sample_source import NO_SOURCE, SampleSource
from speech_engine import API_VERSION, EngineFailed, EngineUnavailable, SpeechJob, Work
from speech_engine.host import messages
from speech_engine.host.batch_steps import add_figures
from speech_engine.host.engine_stream import OnDispatch, ignore_dispatch
from speech_engine.host.pipe_messages import HostState

HELLO_S = 5.0
HELLO_AGAIN_S = 0.2
HEALTH_S = 1.0
"""A list of engines must not wait for a frozen one."""

_decode_hello = messages.decoder(messages.HelloReply)
_log = structlog.get_logger()


class HostedEngine(Introduced):
    """A `speech_engine.Engine` that speaks through its ready hosts. `update_host` keeps it informed."""

    def __init__(self, name: str, source: SampleSource = NO_SOURCE) -> None:
        self.name = name
        self._delivery = SampleDelivery(source)
        self.states: dict[int, HostState] = {}
        self._processes: dict[int, HostProcess] = {}
        self._ready_at: dict[int, float] = {}
        self._choice = ProcessChoice()
        self.on_introduced: Callable[[], None] | None = None
        self.on_wanted: Callable[[str], None] = lambda _name: None
        """Called with our name when a request needs us, and we load on demand."""
        self._welcome = messages.HelloReply(API_VERSION, 0, (), ())
        self.changed = asyncio.Event()
        self._has_room = asyncio.Event()
        self._calls = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        running = sum(process.running for process in self._processes.values())
        return f"<HostedEngine {self.name}: {self.state}, {running} running>"

    @property
    def slots(self) -> int:
        return self._welcome.slots * len(self._processes)

    @property
    def state(self) -> str:
        """`ready` if a process is; else `starting`, `restarting` or `waiting` if one is; else `failed` or
        `unloaded`."""
        states = {state.state for state in self.states.values()}
        if self._processes:
            return "ready"
        for name in ("starting", "restarting", "waiting"):
            if name in states:
                return name
        if any(state.loads_on_demand for state in self.states.values()):
            return "unloaded"
        # A process that is ready to the supervisor but not yet greeted here is still starting.
        return "starting" if "ready" in states or not states else min(states)

    @property
    def reason(self) -> str:
        return next((state.reason for state in self.states.values() if state.reason), "")

    @property
    def loads_on_demand(self) -> bool:
        return self.state == "unloaded" and any(state.loads_on_demand for state in self.states.values())

    @property
    def loaded(self) -> float | None:
        starting = [state.loaded for state in self.states.values() if state.state == "starting"]
        return max(starting, default=0.0) or None if self.state == "starting" else None

    def update_host(self, state: HostState) -> None:
        """Note the new state of one process. Greet the process if it is ready."""
        self.states[state.process] = state
        self.changed.set()
        if state.loaded:
            return
        self._ready_at.pop(state.process, None)
        if state.hello and not self.models():
            self._know(_decode_hello(state.hello), state.licence)
            if self.on_introduced is not None:
                self.on_introduced()
        if state.state in ("starting", "restarting"):
            self._ready_at[state.process] = asyncio.get_running_loop().time() + state.loads_s
        old = self._processes.pop(state.process, None)
        if old is not None:
            old.note_death(state.begun, state.killer)
            # Closing waits for the calls under way, and the next process must not.
            self._later(old.close())
        if state.state == "ready":
            self._later(self._greet(state))

    @property
    def introduction(self) -> bytes:
        return msgspec.msgpack.encode(self._welcome)

    def introduce(self, introduction: bytes) -> None:
        """Take the models and voices from another server, unless its API version differs."""
        welcome = _decode_hello(introduction)
        if welcome.api_version == API_VERSION:
            self._know(welcome, "")
            if self.on_introduced is not None:
                self.on_introduced()

    async def health(self) -> messages.HealthReport:
        """Return the sum over the processes that answer."""
        questions = [
            process.ask("Health", messages.HealthQuestion(), messages.HealthReport, HEALTH_S)
            for process in list(self._processes.values())
        ]
        answers = await asyncio.gather(*questions, return_exceptions=True)
        healthy = [answer for answer in answers if isinstance(answer, messages.HealthReport)]
        return messages.HealthReport(
            sum(answer.slots for answer in healthy),
            sum(answer.running for answer in healthy),
            sum(answer.waiting for answer in healthy),
            sum(answer.waiting_s for answer in healthy),
            device=", ".join(sorted({answer.device for answer in healthy} - {""})),
            memory_gb=sum(answer.memory_gb for answer in healthy),
            figures=add_figures([answer.figures for answer in healthy if answer.figures]),
        )

    def open(
        self,
        work: Work,
        on_dispatch: OnDispatch = ignore_dispatch,
        pcm: AsyncIterable[bytes] | None = None,
    ) -> HostStream:
        return HostStream(self, work, on_dispatch, pcm)

    def next_call(self) -> str:
        return f"{os.getpid()}-{next(self._calls)}"

    async def ready_process(self, tenant: str, deadline: float) -> HostProcess:
        """Return a ready process for a job of this tenant. Wait for one while there is hope."""
        await self._wait_ready(deadline)
        self._choice.note(tenant)
        now = asyncio.get_running_loop().time
        # At most half of the remaining time is spent on waiting.
        patient_until = now() + min(PATIENCE_S, (deadline - now()) / 2)
        while (process := self._choose(tenant, is_patient=now() < patient_until)) is None:
            self._has_room.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(patient_until):
                    await self._has_room.wait()
            await self._wait_ready(deadline)
        return process

    def _choose(self, tenant: str, *, is_patient: bool) -> HostProcess | None:
        processes = self._processes.values()
        return self._choice.choose(processes, tenant, self._welcome.slots, is_patient=is_patient)

    def expect(self, work: Work) -> None:
        """Raise EngineUnavailable if it is known that this work would not begin in time. Request the hosts if
        they load on demand."""
        self._expect(asyncio.get_running_loop().time() + work.deadline_s)

    def _expect(self, deadline: float) -> None:
        if self._processes:
            return
        if self.state == "failed":
            raise EngineUnavailable(f"{self.name} is down: {self.reason}")
        if self.state == "waiting":
            raise EngineUnavailable(f"{self.name} {self.reason}", retry_after_s=TRY_AGAIN_S)
        if self.loads_on_demand:
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
            self._expect(deadline)
            self.changed.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self.changed.wait()
            except TimeoutError:
                raise EngineUnavailable(f"{self.name} is not ready yet.", retry_after_s=2.0) from None

    @property
    def arrived(self) -> int:
        return self._delivery.arrived

    async def bring_samples(
        self, process: HostProcess, job: SpeechJob, digests: tuple[str, ...], arrived: int
    ) -> None:
        info = find_model(self.models(), job.model)
        if info is None:
            raise EngineFailed("The engine has no such model.")
        await self._delivery.bring(digests, SampleOrder(process.number, process.put, job, info, arrived))

    async def drop_samples(self, digests: Collection[str]) -> None:
        """Make every process forget these recordings. A dead process has none, as they are only in memory.

        When this returns, no job of these processes uses them any more. Raises EngineUnavailable if a process
        does not answer.
        """
        await self._delivery.drop(digests)
        dropped = messages.DropSamples(tuple(digests))
        drops = [process.drop(dropped) for process in list(self._processes.values())]
        for failure in await asyncio.gather(*drops, return_exceptions=True):
            if failure is not None:
                raise failure

    async def close(self) -> None:
        # Greetings end first: a greeting that succeeds now would leave a process that is never closed.
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._delivery.close()
        for process in list(self._processes.values()):
            await process.close()

    async def _greet(self, state: HostState) -> None:
        process = HostProcess(state.address, self._has_room.set)
        try:
            if await self._is_welcome(process, state):
                self._processes[state.process] = process
                self.changed.set()
        finally:
            if self._processes.get(state.process) is not process:
                await process.close()

    async def _is_welcome(self, process: HostProcess, state: HostState) -> bool:
        """Say Hello until the host answers, or until its state changes."""
        while self.states.get(state.process) is state:
            try:
                welcome: messages.HelloReply | None = await process.ask(
                    "Hello", messages.Hello(API_VERSION), messages.HelloReply, HELLO_S
                )
            except grpc.aio.AioRpcError as error:
                _log.warning("host.hello.failed", engine=self.name, status=error.code().name)
                await asyncio.sleep(HELLO_AGAIN_S)
                continue
            if self.states.get(state.process) is not state:
                break  # it died while it was being greeted
            # gRPC gives None for an answer that cannot be decoded.
            theirs = welcome.api_version if welcome else "unknown"
            if welcome and theirs == API_VERSION:
                self._know(welcome, state.licence)
                if self.on_introduced is not None:
                    self.on_introduced()
                return True
            reason = f"its host's API version is {theirs}, the server's {API_VERSION}: they must be the same"
            _log.warning("host.hello.refused", engine=self.name, reason=reason)
            self.states[state.process] = msgspec.structs.replace(state, state="failed", reason=reason)
            self.changed.set()
        return False

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
