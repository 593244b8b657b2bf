"""The promises of every engine that gets a recording, whatever it makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import ClassVar, Generic, TypeVar

from msgspec.structs import replace

from speech_engine.engine import Engine
from speech_engine.errors import EngineError
from speech_engine.events import Audio, Event
from speech_engine.hearing import HearJob, Transcript
from speech_engine.models import ModelInfo
from speech_engine.testing.rules import UNKNOWN_VOICE, refusal, require
from speech_engine.values import SpeechJob

J = TypeVar("J", SpeechJob, HearJob)
_UNKNOWN = f"an unknown model raises EngineFailed, {UNKNOWN_VOICE}"


class InputContract(Generic[J]):
    model: ClassVar[str | None] = None
    patience_s: ClassVar[float] = 30.0

    def engine(self) -> AbstractAsyncContextManager[Engine]:
        """Create an engine for one test. The end of the block must free all that the engine took."""
        raise NotImplementedError("an engine's contract tests say how to create the engine")

    def job_for(self, engine: Engine) -> J:
        raise NotImplementedError

    async def test_an_unknown_model_is_refused(self) -> None:
        async with self.engine() as engine:
            await self._refusal(engine, replace(self.job_for(engine), model="no such model"))

    async def test_closing_early_frees_the_engine(self) -> None:
        async with self.engine() as engine:
            for _ in range(engine.slots + 1):
                async with aclosing(
                    self._events(engine, self.job_for(engine), await self._input())
                ) as events:
                    async with asyncio.timeout(self.patience_s):
                        async for event in events:
                            if isinstance(event, (Audio, Transcript)):
                                break
            await self._answer(engine, self.job_for(engine))

    async def test_cancelling_frees_the_engine(self) -> None:
        async with self.engine() as engine:
            for _ in range(engine.slots + 1):
                task = asyncio.create_task(self._answer(engine, self.job_for(engine)))
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task], timeout=self.patience_s)
                require(task.cancelled(), "an engine lets a cancellation pass")
            await self._answer(engine, self.job_for(engine))

    async def test_each_step_may_run_in_another_task(self) -> None:
        async with self.engine() as engine:
            found, pcm = list[Event](), await self._input()
            async with aclosing(self._events(engine, self.job_for(engine), pcm)) as events:
                async with asyncio.timeout(self.patience_s):
                    while (event := await asyncio.create_task(anext(events, None))) is not None:
                        found.append(event)
            self._check(engine, pcm, found)

    async def _input(self) -> bytes:
        """Return a recording."""
        raise NotImplementedError

    def _events(self, engine: Engine, job: J, pcm: bytes) -> AsyncGenerator[Event, None]:
        raise NotImplementedError

    def _check(self, engine: Engine, pcm: bytes, events: Sequence[Event]) -> None:
        raise NotImplementedError

    def _model(self, engine: Engine) -> ModelInfo:
        models = engine.models()
        return next((each for each in models if each.id == self.model), models[0])

    async def _answer(self, engine: Engine, job: J, pcm: bytes | None = None) -> tuple[Event, ...]:
        pcm = await self._input() if pcm is None else pcm
        async with aclosing(self._events(engine, job, pcm)) as events:
            async with asyncio.timeout(self.patience_s):
                answer = tuple([event async for event in events])
        self._check(engine, pcm, answer)
        return answer

    async def _refusal(self, engine: Engine, job: J, pcm: bytes | None = None) -> EngineError:
        of_input = "a recording without sound raises UnusableSample"
        return await refusal(self._answer(engine, job, pcm), _UNKNOWN if pcm is None else of_input)
