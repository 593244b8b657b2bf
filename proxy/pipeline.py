"""The one path every speech takes: plan → hold → prepare → first audio → bytes → settle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

import structlog

from proxy.audio.formats import Chunk
from proxy.callers import Caller
from proxy.errors import RequestFailed, from_engine
from proxy.first_audio import Asked, FirstAudio, about
from proxy.ledger import Hold, Ledger, Wanted
from proxy.planning import Plan
from proxy.speaking import Speaking
from proxy.telemetry import Metrics
from proxy.wire import SpeechRequest
from speech_engine import EngineError

_log = structlog.get_logger()


class Answer:
    """A speech that has begun: its first bytes exist, so headers may go out."""

    def __init__(self, plan: Plan, speaking: Speaking, hold: Hold) -> None:
        self.plan = plan
        self.speaking = speaking
        self._hold = hold

    def __repr__(self) -> str:
        return f"<Answer {self.speaking!r}, {self._hold!r}>"

    @property
    def samples(self) -> int:
        """Written so far: all of it, once `chunks` is through."""
        return self._hold.spent.samples

    @property
    def seconds(self) -> float:
        return self.samples / self.speaking.sample_rate_hz

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """All bytes but the last, each counted as written when it has been taken."""
        async with aclosing(self.speaking.chunks()) as chunks:
            async for chunk in chunks:
                yield chunk.data
                self._write(chunk)

    def last(self) -> bytes:
        """The end of the sound, never empty; to be given out only after `settle`."""
        chunk = self.speaking.last_chunk()
        self._write(chunk)
        return chunk.data

    async def settle(self) -> None:
        """Returns when it is on disk that this was spoken to its end, and charged."""
        await self._hold.settle("finished")

    async def whole(self) -> bytes:
        """All of it, for an answer that goes out in one piece: until then none of it counts as written."""
        async with aclosing(self.speaking.chunks()) as chunks:
            parts = [chunk async for chunk in chunks]
        for chunk in parts:
            self._write(chunk)
        return b"".join([*(chunk.data for chunk in parts), self.last()])

    def _write(self, chunk: Chunk) -> None:
        self._hold.spent.samples += chunk.samples
        self._hold.spent.sample_rate_hz = self.speaking.sample_rate_hz


class Pipeline:
    def __init__(self, first_audio: FirstAudio, ledger: Ledger, metrics: Metrics) -> None:
        self._first_audio = first_audio
        self._ledger = ledger
        self._metrics = metrics

    def __repr__(self) -> str:
        return f"<Pipeline over {self._first_audio!r}>"

    @asynccontextmanager
    async def speech(
        self, id_: str, caller: Caller, request: SpeechRequest, plan: Plan, has_left: Callable[[], bool]
    ) -> AsyncIterator[Answer]:
        """An answer whose first bytes exist. `has_left` tells a client's departure from our own shutdown."""
        async with self._ledger.hold(_wanted(id_, caller, plan)) as hold:
            spent = hold.spent
            spent.characters, spent.format = len(request.text), request.format
            spent.voice, spent.language = plan.voice.id, plan.language
            speaking = None
            began = time.monotonic()
            try:
                speaking = await self._first_audio.of(Asked(request, plan, plan.parts[0], hold))
                spent.first_byte_ms = round((time.monotonic() - began) * 1000)
                self._metrics.first_audio(speaking.candidate.model.name, time.monotonic() - began)
                yield Answer(plan, speaking, hold)
            except EngineError as error:
                failure = from_engine(error)
                if speaking is not None:
                    _log.warning("engine.speak.broken", **about(id_, speaking.candidate, error))
                await self._settle_failed(hold, failure, error)
                raise failure from None
            except asyncio.CancelledError:
                await hold.settle("left" if has_left() else "failed")
                raise
            finally:
                if speaking is not None:
                    await speaking.close()
                self._metrics.spoken(spent)

    async def _settle_failed(self, hold: Hold, failure: RequestFailed, error: EngineError) -> None:
        hold.spent.error = failure.code
        await hold.settle("failed")
        self._metrics.failed(hold.spent.engine, type(error).__name__)


def _wanted(id_: str, caller: Caller, plan: Plan) -> Wanted:
    return Wanted(
        request=id_,
        account=caller.account,
        key=caller.key,
        anchor=caller.anchor,
        terms=plan.terms,
        amount=plan.amount,
        estimated_s=plan.estimated_s,
    )
