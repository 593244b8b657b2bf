"""A worker's questions to its supervisor, over the pipe: a reload, an erasure for all, an engine's load, and
memory for a process of its own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import TypeVar

from policies.device_book import TRY_AGAIN_S, DeviceMemory, LoadRefusal
from proxy.errors import UpstreamFailed
from proxy.storage.tombstones import Tombstone
from speech_engine.host.booking_messages import Booked, BookedPeak, BookingOver, BookingQuestion
from speech_engine.host.pipe import ParentPipe
from speech_engine.host.pipe_messages import (
    EngineAction,
    EngineQuestion,
    EngineSwitched,
    EngineWanted,
    ErasureQuestion,
    ErasureSpread,
    ReloadQuestion,
    ReloadResult,
    SupervisorAnswer,
    WorkerQuestion,
)

_RELOAD_S = 20.0
"""The supervisor reads the file, and asks a worker for up to 5 s which plans are in use."""
_SPREAD_S = 10.0
_BOOKING_S = 5.0
_SWITCH_S = 15.0
"""A host that does not end is killed after four seconds; another switch may be under way."""

_A = TypeVar("_A", ReloadResult, ErasureSpread, EngineSwitched, Booked)


class SupervisorLine:
    """The questions under way. `on_answer` is called with what comes over the pipe."""

    def __init__(self, pipe: ParentPipe) -> None:
        self._pipe = pipe
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[SupervisorAnswer]] = {}

    async def reload(self) -> ReloadResult:
        """Return what came of a reload. Raises UpstreamFailed if the supervisor does not answer in time."""
        try:
            return await self._ask(ReloadQuestion, _RELOAD_S, ReloadResult)
        except TimeoutError:
            raise UpstreamFailed("The server has not read its configuration yet; see its log.") from None

    async def spread(self, tombstone: Tombstone) -> bool:
        """Let every worker of this server forget a voice. Return whether all did, and its streams ended."""

        def question(number: int) -> ErasureQuestion:
            return ErasureQuestion(number, tombstone.subject, tombstone.digests)

        try:
            return (await self._ask(question, _SPREAD_S, ErasureSpread)).is_everywhere
        except TimeoutError:
            return False

    async def switch(self, engine: str, action: EngineAction, breaks_off: bool) -> EngineSwitched:
        """Load, unload or restart an engine. Raises UpstreamFailed without an answer in time."""

        def question(number: int) -> EngineQuestion:
            return EngineQuestion(number, engine, action, breaks_off)

        try:
            return await self._ask(question, _SWITCH_S, EngineSwitched)
        except TimeoutError:
            raise UpstreamFailed("The engine's hosts have not ended yet; see the log.") from None

    def want(self, engine: str) -> None:
        """Say that a request waits for an engine that loads on demand."""
        self._pipe.send(EngineWanted(engine))

    async def ask(self, holder: str, needs_gb: float, found: DeviceMemory) -> LoadRefusal | None:
        """Book memory on a device, as a `MemoryBook` does."""

        def question(number: int) -> BookingQuestion:
            return BookingQuestion(number, holder, needs_gb, *found)

        try:
            booked = await self._ask(question, _BOOKING_S, Booked)
        except TimeoutError:
            return LoadRefusal("the server is busy", again_s=TRY_AGAIN_S)
        return LoadRefusal(booked.refusal, lasting=booked.lasting) if booked.refusal else None

    def note_peak(self, holder: str, gb: float) -> None:
        self._pipe.send(BookedPeak(holder, gb))

    def release(self, holder: str) -> None:
        self._pipe.send(BookingOver(holder))

    async def _ask(self, question: Callable[[int], WorkerQuestion], within_s: float, kind: type[_A]) -> _A:
        number = next(self._numbers)
        waiting: asyncio.Future[SupervisorAnswer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        try:
            self._pipe.send(question(number))
            async with asyncio.timeout(within_s):
                answer = await waiting
        finally:
            del self._waiting[number]
        assert isinstance(answer, kind), "the number is of this question"
        return answer

    def on_answer(self, answer: SupervisorAnswer) -> None:
        waiting = self._waiting.get(answer.question)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
