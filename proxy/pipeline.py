"""The one path every speech takes: plan → hold → prepare → first audio → bytes → settle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

import structlog

from policies import estimate, segments
from policies.routing import Candidate
from proxy.audio.formats import Chunk
from proxy.audio.frames import open_frames
from proxy.callers import Caller
from proxy.catalogue import Catalogue
from proxy.engines.live import Engines
from proxy.errors import RequestFailed, from_engine
from proxy.ledger import Attempt, Hold, Ledger, Wanted
from proxy.planning import Plan
from proxy.speaking import Speaking
from proxy.telemetry import Metrics
from proxy.text import FrontEnds
from proxy.wire import SpeechRequest
from proxy.word_times import WordPlaces
from speech_engine import (
    EngineError,
    EngineFailed,
    EngineTimeout,
    EngineVoice,
    Segment,
    SpeechJob,
    UnsupportedText,
)

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
    def __init__(
        self,
        catalogue: Catalogue,
        engines: Engines,
        front_ends: FrontEnds,
        ledger: Ledger,
        metrics: Metrics,
        first_audio_s: float,
    ) -> None:
        self._catalogue = catalogue
        self._engines = engines
        self._front_ends = front_ends
        self._ledger = ledger
        self._metrics = metrics
        self._first_audio_s = first_audio_s

    def __repr__(self) -> str:
        return f"<Pipeline over {self._engines!r}>"

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
                speaking = await self._first_audio(request, plan, hold)
                spent.first_byte_ms = round((time.monotonic() - began) * 1000)
                self._metrics.first_audio(speaking.candidate.model.name, time.monotonic() - began)
                yield Answer(plan, speaking, hold)
            except EngineError as error:
                failure = from_engine(error)
                if speaking is not None:
                    _log.warning("engine.speak.broken", **_about(id_, speaking.candidate, error))
                await self._settle_failed(hold, failure, error)
                raise failure from None
            except asyncio.CancelledError:
                await hold.settle("left" if has_left() else "failed")
                raise
            finally:
                if speaking is not None:
                    await speaking.close()
                self._metrics.spoken(spent)

    async def _first_audio(self, request: SpeechRequest, plan: Plan, hold: Hold) -> Speaking:
        """The first candidate that gives audio within the one budget for all; else the last one's error."""
        loop = asyncio.get_running_loop()
        raised = max(candidate.model.info.first_audio_s or 0.0 for candidate in plan.candidates)
        deadline = loop.time() + max(self._first_audio_s, raised)
        failure: EngineError = EngineTimeout("No engine was tried.")
        for candidate in plan.candidates:
            hold.spent.engine, hold.spent.model = candidate.model.engine, candidate.model.info.id
            hold.billed_on_submit = candidate.model.info.billed_on_submit
            try:
                async with asyncio.timeout_at(deadline):
                    return await self._attempt(hold, request, plan, candidate, deadline)
            except TimeoutError:
                failure = EngineTimeout("No audio in time.", retry_after_s=2.0)
            except EngineError as error:
                failure = error
                _untake(hold, error)
            _log.warning("engine.speak.refused", **_about(hold.wanted.request, candidate, failure))
            if not failure.may_fall_back or loop.time() >= deadline:
                break
        raise failure

    async def _attempt(
        self, hold: Hold, request: SpeechRequest, plan: Plan, candidate: Candidate, deadline: float
    ) -> Speaking:
        """One candidate up to its first audio; cancelled or failed, it leaves nothing running."""
        prepared = await self._front_ends.prepare(candidate.front_end, request.text, plan.language)
        if not prepared:
            raise UnsupportedText("Invalid 'input': it has nothing that can be spoken.")
        left_s = deadline - asyncio.get_running_loop().time()
        speaking = _speaking(hold.wanted, request, plan, candidate, prepared, left_s)
        hold.attempts.append(self._made_by(speaking, request))
        try:
            await speaking.begin(self._engines[candidate.model.engine].speak(speaking.job))
        finally:
            if not speaking.has_begun:
                await speaking.close()
        return speaking

    def _made_by(self, speaking: Speaking, request: SpeechRequest) -> Attempt:
        model = speaking.candidate.model
        return Attempt(
            engine=model.engine,
            model=model.info.id,
            characters=len(request.text),
            made=speaking,
            rate=self._catalogue.rate(model),
        )

    async def _settle_failed(self, hold: Hold, failure: RequestFailed, error: EngineError) -> None:
        hold.spent.error = failure.code
        await hold.settle("failed")
        self._metrics.failed(hold.spent.engine, type(error).__name__)


def _about(id_: str, candidate: Candidate, error: EngineError) -> dict[str, str]:
    """For the operator's log: most clients are told only that the engine failed."""
    name = type(error).__name__
    return {"request": id_, "model": candidate.model.name, "error": name, "reason": error.message}


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


def _untake(hold: Hold, error: EngineError) -> None:
    """Whoever refused a text has not begun with it, and no provider bills for that."""
    if hold.attempts and not isinstance(error, (EngineFailed, EngineTimeout)):
        hold.attempts[-1].was_taken = False


def _speaking(
    wanted: Wanted,
    request: SpeechRequest,
    plan: Plan,
    candidate: Candidate,
    prepared: tuple[Segment, ...],
    left_s: float,
) -> Speaking:
    info = candidate.model.info
    native = min(max(request.speed, info.speed[0]), info.speed[1])
    factor = request.speed / native
    passes = factor == 1.0 and request.format in info.formats and open_frames(request.format) is not None
    job = SpeechJob(
        id=wanted.request,
        tenant=wanted.account,
        estimated_s=plan.estimated_s,
        share=plan.terms.share,
        model=info.id,
        voice=EngineVoice(candidate.engine_voice),
        segments=segments.fit(prepared, info.max_characters),
        language=plan.language,
        speed=native,
        pitch=request.pitch,
        emotion=request.emotion,
        seed=request.seed,
        formats=(request.format,) if passes else (),
        deadline_s=max(0.0, left_s),
        # The cap is on what a listener hears; an engine that is slowed down afterwards makes less of it.
        max_samples=round(estimate.cap_seconds(plan.estimated_s) * info.sample_rate_hz * factor),
    )
    places = WordPlaces(request.text, job.segments)
    return Speaking(candidate, job, places, factor, request.format)
