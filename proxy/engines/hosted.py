"""A hosted engine as a worker sees it: the Engine that stands for one in host processes.

It keeps no queue: slots and queue are the host's. Of several processes it takes the one with the fewest
jobs of this worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any

import grpc
import msgspec
import structlog

from proxy.engines.dispatch import OnDispatch, ignore_dispatch
from speech_engine import API_VERSION, Event, ModelInfo, SpeechJob, VoiceInfo
from speech_engine.errors import EngineUnavailable
from speech_engine.events import Finished
from speech_engine.host import messages
from speech_engine.host.pipe import HostState

HELLO_S = 5.0
HELLO_AGAIN_S = 0.2
HEALTH_S = 1.0
"""A list of engines must not wait for a frozen one."""

_log = structlog.get_logger()
_decode_frame = messages.decoder(messages.Frame)


class _HostGone(Exception):
    """A broken transport: the host died or was never there. An engine that refuses raises EngineError.

    `had_job` is true if the host had taken the job: then the job may have killed it.
    """

    def __init__(self, reason: str, had_job: bool) -> None:
        super().__init__(reason)
        self.had_job = had_job


class _Process:
    """One ready host process and the channel to it."""

    def __init__(self, state: HostState) -> None:
        self.running = 0
        self._channel = grpc.aio.insecure_channel(f"unix:{state.address}", options=messages.CHANNEL_OPTIONS)
        self._speak = self._channel.unary_stream(messages.method("Speak"), messages.encode, _decode_frame)

    async def ask(self, name: str, message: Any, answer: type[Any], within_s: float) -> Any:
        call = self._channel.unary_unary(messages.method(name), messages.encode, messages.decoder(answer))
        return await call(message, timeout=within_s)

    async def frames(self, job: SpeechJob) -> AsyncGenerator[messages.Frame, None]:
        """Yield the host's frames. The reader keeps the time, because gRPC does not notice a frozen host."""
        # Over a live connection, a job can begin and kill its host before any answer is out.
        had_job = self._channel.get_state() is grpc.ChannelConnectivity.READY
        call = self._speak(job)
        self.running += 1
        try:
            # Where the call never got through, this gives empty metadata, and `read` raises.
            had_job |= messages.TAKEN in (await call.initial_metadata() or ())
            while True:
                frame = await call.read()
                if frame is grpc.aio.EOF:
                    raise _HostGone("it ended its answer early", had_job)
                yield frame
        except grpc.aio.AioRpcError as error:
            raise _HostGone(error.code().name, had_job) from None
        except asyncio.CancelledError:
            # The supervisor may see a host's death before gRPC does. Closing the channel then cancels its
            # calls, and that must not be taken for a cancelling of our own task.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise _HostGone("its channel was closed", had_job) from None
        finally:
            self.running -= 1
            call.cancel()

    async def close(self) -> None:
        await self._channel.close()


class HostedEngine:
    """A `speech_engine.Engine` that speaks through its ready hosts. `update_host` keeps it informed."""

    keeps_spool = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.states: dict[int, HostState] = {}
        self._processes: dict[int, _Process] = {}
        self._welcome = messages.HelloReply(API_VERSION, 0, (), ())
        self.changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        running = sum(process.running for process in self._processes.values())
        return f"<HostedEngine {self.name}: {self.state}, {running} running>"

    @property
    def slots(self) -> int:
        return self._welcome.slots * len(self._processes)

    @property
    def state(self) -> str:
        """`ready` if a process is; else `starting` or `restarting`, if one is; else `failed`."""
        states = {state.state for state in self.states.values()}
        if self._processes:
            return "ready"
        # A process that is ready to the supervisor but not yet greeted here is still starting.
        return next(
            (name for name in ("starting", "restarting") if name in states),
            "starting" if "ready" in states or not states else "failed",
        )

    @property
    def reason(self) -> str:
        return next((state.reason for state in self.states.values() if state.reason), "")

    def models(self) -> tuple[ModelInfo, ...]:
        return self._welcome.models

    def voices(self) -> tuple[VoiceInfo, ...]:
        return self._welcome.voices

    def update_host(self, state: HostState) -> None:
        """Note the new state of one process. Greet the process if it is ready."""
        self.states[state.process] = state
        old = self._processes.pop(state.process, None)
        if old is not None:
            # Closing waits for the calls under way. The next life must not wait for them.
            self._later(old.close())
        if state.state == "ready":
            self._later(self._greet(state))
        self.changed.set()

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
        )

    async def speak(
        self, job: SpeechJob, on_dispatch: OnDispatch = ignore_dispatch
    ) -> AsyncGenerator[Event, None]:
        """Speak through a ready host. Try the next life of a host only if the last one had not taken the job.

        Otherwise a text that kills its host would kill one more with every try. The host keeps its own queue,
        so its first event is the sign of the dispatch.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + job.deadline_s
        gone: _Process | None = None
        while True:
            process = await self._ready_process(gone, deadline)
            try:
                async with aclosing(self._events(process, job, deadline - loop.time())) as events:
                    async for event in events:
                        on_dispatch(True)
                        yield event
                return
            except _HostGone as error:
                if error.had_job or gone is not None:
                    raise EngineUnavailable(f"The host is gone: {error}.", retry_after_s=1.0) from None
                gone = process

    async def close(self) -> None:
        # Greetings end first: one that is answered just now would leave a process that nobody closes.
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for process in list(self._processes.values()):
            await process.close()

    async def _events(self, process: _Process, job: SpeechJob, left_s: float) -> AsyncGenerator[Event, None]:
        async with aclosing(
            process.frames(msgspec.structs.replace(job, deadline_s=max(0.0, left_s)))
        ) as frames:
            async for frame in frames:
                if isinstance(frame, messages.Failed):
                    raise frame.to_error()
                yield frame
                if isinstance(frame, Finished):
                    return

    async def _ready_process(self, avoid: _Process | None, deadline: float) -> _Process:
        """Return the least busy ready process that is not `avoid`. Wait for one while there is hope."""
        while True:
            ready = [process for process in self._processes.values() if process is not avoid]
            if ready:
                return min(ready, key=lambda process: process.running)
            if self.state == "failed":
                raise EngineUnavailable(f"{self.name} is down: {self.reason}")
            self.changed.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self.changed.wait()
            except TimeoutError:
                raise EngineUnavailable(f"{self.name} is not ready yet.", retry_after_s=2.0) from None

    async def _greet(self, state: HostState) -> None:
        process = _Process(state)
        try:
            if await self._is_welcome(process, state):
                self._processes[state.process] = process
                self.changed.set()
        finally:
            if self._processes.get(state.process) is not process:
                await process.close()

    async def _is_welcome(self, process: _Process, state: HostState) -> bool:
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
                self._welcome = welcome
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
