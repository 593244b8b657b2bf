"""The one path every speech takes: plan → hold → prepare → first audio → bytes → settle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

import structlog

from policies import price
from proxy.access.callers import Caller
from proxy.audio.formats import Chunk
from proxy.errors import RequestFailed, from_engine
from proxy.ledger import Hold, HoldRequest, Ledger, SpokenPart
from proxy.speech.cache import Cache, CacheLookup, CacheQuestion, Clip
from proxy.speech.candidate_race import FirstAudio, error_details
from proxy.speech.loudness_levels import LoudnessLevels
from proxy.speech.planning import SpeechPlan
from proxy.speech.relay import begin_speech
from proxy.speech.speech import Speech
from proxy.speech.speech_request import SpeechRequest
from proxy.telemetry import Metrics
from speech_engine import EngineError

_log = structlog.get_logger()


class Answer:
    """An answer that has begun: its first bytes exist, so its headers may go out."""

    def __init__(self, plan: SpeechPlan, speech: Speech, hold: Hold) -> None:
        self.plan = plan
        self.speech = speech
        self._hold = hold

    def __repr__(self) -> str:
        return f"<Answer {self.speech!r}, {self._hold!r}>"

    @property
    def cache(self) -> str:
        """The state of the cache for this answer: hit, miss or off."""
        return self._hold.totals.cache

    @property
    def samples(self) -> int:
        """The samples written so far. They are all written when `chunks` has ended."""
        return self._hold.totals.samples

    @property
    def seconds(self) -> float:
        return self.samples / self.speech.sample_rate_hz

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Give all bytes but the last. Each chunk counts as written when the next one is asked for."""
        async with aclosing(self.speech.chunks()) as chunks:
            async for chunk in chunks:
                yield chunk.data
                self._write(chunk)

    def last(self) -> bytes:
        """Give the end of the sound, which is never empty. Send it only after `settle`."""
        chunk = self.speech.last_chunk()
        self._write(chunk)
        return chunk.data

    async def settle(self) -> None:
        """Settle the request as finished, and return when that is on the disk."""
        await self._hold.settle("finished")

    async def whole(self) -> bytes:
        """Give the whole sound, for an answer in one piece. Before that, none of it counts as written."""
        async with aclosing(self.speech.chunks()) as chunks:
            parts = [chunk async for chunk in chunks]
        for chunk in parts:
            self._write(chunk)
        return b"".join([*(chunk.data for chunk in parts), self.last()])

    def _write(self, chunk: Chunk) -> None:
        self._hold.totals.samples += chunk.samples
        self._hold.totals.sample_rate_hz = self.speech.sample_rate_hz


class Pipeline:
    def __init__(
        self, first_audio: FirstAudio, levels: LoudnessLevels, cache: Cache, ledger: Ledger, metrics: Metrics
    ) -> None:
        self._first_audio = first_audio
        self._levels = levels
        self._cache = cache
        self._ledger = ledger
        self._metrics = metrics

    def __repr__(self) -> str:
        return f"<Pipeline over {self._first_audio!r}>"

    @asynccontextmanager
    async def speech(
        self, id_: str, caller: Caller, request: SpeechRequest, plan: SpeechPlan, has_left: Callable[[], bool]
    ) -> AsyncIterator[Answer]:
        """Speak a request: its answer's first bytes exist. `has_left` tells whether the client has gone."""
        question = CacheQuestion(caller.account, request, plan)
        async with (
            self._cache.look_up(question, self._first_audio.budget_s(plan.parts[0])) as lookup,
            self._ledger.hold(_hold_request(id_, caller, question, lookup.clip)) as hold,
        ):
            hold.waited_s, totals = lookup.waited_s, hold.totals
            totals.characters, totals.format = len(request.text), request.format
            totals.voice, totals.language, totals.cache = plan.voice.id, plan.language, lookup.state
            hold.begin_parts(
                [SpokenPart(characters=part.characters, estimated_s=part.estimated_s) for part in plan.parts]
            )
            speech: Speech | None = None
            began = time.monotonic()
            try:
                speech = await self._begin(question, lookup, hold)
                totals.first_byte_ms = round((time.monotonic() - began) * 1000)
                yield Answer(plan, speech, hold)
                lookup.keep(hold)
            except EngineError as error:
                failure = from_engine(error)
                if speech is not None:
                    _log.warning(
                        "engine.speak.broken", **error_details(id_, hold.current_part.speaker, error)
                    )
                await self._settle_failed(hold, failure, error)
                raise failure from None
            except asyncio.CancelledError:
                await hold.settle("left" if has_left() else "failed")
                raise
            finally:
                if speech is not None:
                    await speech.close()
                for part in hold.spoken_parts():
                    self._metrics.spoken(part.engine, part.model, part.seconds)

    async def _begin(self, question: CacheQuestion, lookup: CacheLookup, hold: Hold) -> Speech:
        if lookup.clip is not None:
            hold.totals.engine, hold.totals.model = lookup.clip.about.engine, lookup.clip.about.model
            return self._cache.replay(lookup)
        began = time.monotonic()
        speech = await begin_speech(self._first_audio, self._levels, question.request, question.plan, hold)
        self._metrics.first_audio(hold.current_part.speaker, time.monotonic() - began)
        return lookup.record(speech)

    async def _settle_failed(self, hold: Hold, failure: RequestFailed, error: EngineError) -> None:
        hold.totals.error = failure.code
        await hold.settle("failed")
        self._metrics.failed(hold.current_part.engine, type(error).__name__)


def _hold_request(id_: str, caller: Caller, question: CacheQuestion, clip: Clip | None) -> HoldRequest:
    plan = question.plan
    return HoldRequest(
        request_id=id_,
        account=caller.account,
        key=caller.key,
        anchor=caller.anchor,
        terms=plan.terms,
        amount=plan.amount if clip is None else _clip_price(clip, question),
        estimated_s=plan.estimated_s if clip is None else clip.seconds,
    )


def _clip_price(clip: Clip, question: CacheQuestion) -> int:
    """Compute the price of a clip. It is exact, because the length of a clip is known."""
    return price.charge(
        question.plan.terms.prices.cached,
        samples=clip.about.samples,
        rate_hz=clip.about.sample_rate_hz,
        characters=len(question.request.text),
    )
