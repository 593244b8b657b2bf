"""The candidates in their order, until one of them gives audio: who waits for whom, and for how long."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import structlog

from policies import estimate, fallback, segments
from policies.lexicon import pronounced
from policies.routing import Candidate
from proxy.audio.frames import open_frames
from proxy.catalogue.catalogue import Catalogue
from proxy.engines.engine_list import Engines
from proxy.ledger import Attempt, Hold
from proxy.ledger.budgets import Budgets
from proxy.speech.candidate_stream import CandidateStream
from proxy.speech.front_ends import FrontEnds
from proxy.speech.planning import Part, SpeechPlan
from proxy.speech.speech_request import SpeechRequest
from proxy.speech.word_times import WordPlaces
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


Free = Callable[[str], Awaitable[None]]


class PartRequest(NamedTuple):
    """The part of a request with this number, and the hold that its tries are written to. `waited_s` is gone
    from its time to first audio. `free` returns when the request itself does not keep an engine busy any
    more: in line behind its own answer a part would lose its time."""

    request: SpeechRequest
    plan: SpeechPlan
    number: int
    hold: Hold
    waited_s: float = 0.0
    free: Free | None = None

    def __repr__(self) -> str:
        return f"<PartRequest {self.hold!r}>"

    @property
    def part(self) -> Part:
        return self.plan.parts[self.number]

    @property
    def format(self) -> str:
        """Several parts meet as PCM, and are encoded as one."""
        return self.request.format if len(self.plan.parts) == 1 else "pcm"

    @property
    def text(self) -> str:
        return self.request.text[self.part.start : self.part.end]


class FirstAudio:
    def __init__(
        self,
        catalogue: Catalogue,
        engines: Engines,
        front_ends: FrontEnds,
        budgets: Budgets,
        within_s: float,
    ) -> None:
        self._catalogue = catalogue
        self._engines = engines
        self._front_ends = front_ends
        self._budgets = budgets
        self._within_s = within_s

    def __repr__(self) -> str:
        return f"<FirstAudio within {self._within_s:g} s of {self._engines!r}>"

    async def of(self, asked: PartRequest) -> CandidateStream:
        """The first candidate's that gives audio within the one budget for all; else the last one's error."""
        return await CandidateRace(self, asked, self.budget_s(asked.part) - asked.waited_s).first()

    def budget_s(self, part: Part) -> float:
        """To the first audio of a part, whoever speaks it."""
        raised = max(candidate.model.info.first_audio_s or 0.0 for candidate in part.candidates)
        return max(self._within_s, raised)

    def has_one_slot(self, engine: str) -> bool:
        return self._engines[engine].slots == 1

    def hedge_s(self, candidate: Candidate) -> float:
        return self._catalogue.hedge_s(candidate.model.engine)

    async def attempt(self, asked: PartRequest, candidate: Candidate, left_s: float) -> CandidateStream:
        """One candidate up to its first audio; cancelled or failed, it leaves nothing running."""
        deadline = asyncio.get_running_loop().time() + left_s
        text, request = asked.text, asked.request
        async with asyncio.timeout_at(deadline):
            await self._budgets.check(candidate.model.engine, asked.hold.hold_request)
            prepared = await self._front_ends.prepare(
                candidate.front_end, text, asked.part.language, asked.part.lexicon.words
            )
            if not prepared:
                raise UnsupportedText("Invalid 'input': it has nothing that can be spoken.")
            job = _job(asked, candidate, prepared)
            places = WordPlaces(text, job.segments, asked.part.start)
            factor = request.speed / job.speed
            speaking = CandidateStream(candidate, job, places, factor, asked.format)
            attempt = self._attempt_of(speaking, asked)
            asked.hold.attempts.append(attempt)
            await self._begin(speaking, attempt, deadline)
        return speaking

    async def _begin(self, speaking: CandidateStream, attempt: Attempt, deadline: float) -> None:
        job = speaking.timed(deadline - asyncio.get_running_loop().time())
        try:
            await speaking.begin(self._engines[attempt.engine].speak(job, attempt.note_dispatch))
        except EngineError as error:
            # Whoever refused a text has not begun with it, and no provider bills for that.
            attempt.was_dispatched &= isinstance(error, (EngineFailed, EngineTimeout))
            raise
        finally:
            if not speaking.has_begun:
                await speaking.close()

    def _attempt_of(self, speaking: CandidateStream, asked: PartRequest) -> Attempt:
        model = speaking.candidate.model
        return Attempt(
            engine=model.engine,
            model=model.info.id,
            characters=len(asked.text),
            output=speaking,
            part=asked.number,
            rate=self._catalogue.rate(model),
            billed_on_submit=model.info.billed_on_submit,
        )


class CandidateRace:
    """The way through the candidates of one part."""

    def __init__(self, first_audio: FirstAudio, asked: PartRequest, within_s: float) -> None:
        self._first_audio = first_audio
        self._asked = asked
        self._hold = asked.hold
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + within_s
        self._left = deque(asked.part.candidates)
        self._failure: EngineError = EngineTimeout("No engine was tried.")
        self._running: dict[asyncio.Task[CandidateStream | None], Candidate] = {}

    async def first(self) -> CandidateStream:
        while self._left and self._failure.may_fall_back and self._loop.time() < self._deadline:
            candidate = self._left.popleft()
            hedge_s = self._first_audio.hedge_s(candidate) if self._left else 0.0
            speaking = await (self._hedged(candidate) if hedge_s else self._tried(candidate))
            if speaking is not None:
                self._hold.assign_part(self._asked.number, speaking.candidate.model)
                return speaking
        raise self._failure

    async def _tried(self, candidate: Candidate) -> CandidateStream | None:
        """None where another one is to be asked; `_failure` says why."""
        await self._come_free(candidate)
        self._hold.assign_part(self._asked.number, candidate.model)
        left_s = fallback.share_s(self._deadline - self._loop.time(), len(self._left))
        try:
            return await self._first_audio.attempt(self._asked, candidate, left_s)
        except TimeoutError:
            failure: EngineError = EngineTimeout("No audio in time.", retry_after_s=2.0)
        except EngineError as error:
            failure = error
        _log.warning(
            "engine.speak.refused", **about(self._hold.hold_request.request, candidate.model.name, failure)
        )
        self._failure = failure
        return None

    async def _come_free(self, candidate: Candidate) -> None:
        """No deadline runs meanwhile."""
        if self._asked.free is not None:
            since = self._loop.time()
            await self._asked.free(candidate.model.engine)
            self._deadline += self._loop.time() - since

    async def _hedged(self, candidate: Candidate) -> CandidateStream | None:
        winner: CandidateStream | None = None
        try:
            winner = await self._first_of(candidate)
        finally:
            stopping = asyncio.create_task(self._stop())
            try:
                await asyncio.shield(stopping)
            except asyncio.CancelledError:
                # Nobody is left to take the winner, nor to close whom `_stop` is about to.
                await stopping
                if winner is not None:
                    await winner.close()
                raise
        return winner

    async def _first_of(self, candidate: Candidate) -> CandidateStream | None:
        """This one, and beside it the next as soon as it keeps us waiting; whoever is first speaks."""
        self._start(candidate)
        while self._running:
            newest = next(reversed(self._running.values()))
            patience = (self._first_audio.hedge_s(newest) or None) if self._left else None
            done, _ = await asyncio.wait(self._running, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                self._start(self._left.popleft())
            for task in done:
                del self._running[task]
                if (speaking := task.result()) is not None:
                    return speaking
                if not self._failure.may_fall_back:
                    return None
        return None

    def _start(self, candidate: Candidate) -> None:
        self._running[asyncio.create_task(self._tried(candidate))] = candidate

    async def _stop(self) -> None:
        """The others are sent home; one that has just begun is closed as well."""
        for task in self._running:
            task.cancel()
        if not self._running:
            return
        await asyncio.wait(self._running)
        for task in self._running:
            if not task.cancelled() and task.exception() is None and (late := task.result()) is not None:
                await late.close()


def about(id_: str, model: str, error: EngineError) -> dict[str, str]:
    """For the operator's log: most clients are told only that the engine failed."""
    return {"request": id_, "model": model, "error": type(error).__name__, "reason": error.message}


def _job(asked: PartRequest, candidate: Candidate, prepared: tuple[Segment, ...]) -> SpeechJob:
    request, part, hold = asked.request, asked.part, asked.hold
    info = candidate.model.info
    native = min(max(request.speed, info.speed[0]), info.speed[1])
    factor = request.speed / native
    passes = factor == 1.0 and asked.format in info.formats and open_frames(asked.format) is not None
    return SpeechJob(
        id=hold.hold_request.request,
        tenant=hold.hold_request.account,
        estimated_s=part.estimated_s,
        share=asked.plan.terms.share,
        model=info.id,
        voice=EngineVoice(candidate.engine_voice),
        segments=segments.fit(prepared, info.max_characters),
        language=part.language,
        speed=native,
        pitch=request.pitch,
        emotion=request.emotion,
        seed=request.seed,
        formats=(asked.format,) if passes else (),
        # The cap is on what a listener hears; an engine that is slowed down afterwards makes less of it.
        max_samples=round(estimate.cap_seconds(part.estimated_s) * info.sample_rate_hz * factor),
        pronunciations=pronounced(part.lexicon, info.phonemes, prepared),
    )
