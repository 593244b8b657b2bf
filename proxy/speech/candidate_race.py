"""The race of a part's candidates: they are tried in order, or in parallel, until one gives audio."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import structlog

from policies import provider_waits
from policies.routing import Candidate, move_late_last
from proxy.audio import libraries
from proxy.catalogue.catalogue import Catalogue
from proxy.engines.engine_list import Engines
from proxy.helpers.outside import outside
from proxy.ledger.budgets import Budgets
from proxy.speech.attempt import Attempt, RepeatedSound, RepeaterAway, error_details, note_refusal
from proxy.speech.call import PartRun, PreparedText, SpeechCall
from proxy.speech.candidate_stream import CandidateStream
from proxy.speech.deadline import AudioTimeout
from proxy.speech.engine_job import job_of
from proxy.speech.speech_request import SOURCE_HZ
from proxy.speech.spoken_word import no_words
from speech_engine import (
    Convert,
    EngineError,
    EngineTimeout,
    Speak,
    UnsupportedText,
)
from speech_engine.host.engine_stream import EngineStream, run_to_end
from speech_engine.pcm import PcmInMemory

_log = structlog.get_logger()

IDLE_S = 300.0
"""A call without a listener may wait this long for its first audio."""
_NEARLY_S = 0.1
"""A try that ends within this time before its deadline was ended by the deadline."""
_LEAST_SHARE = 0.25
"""The least share of the time to first audio after which a silent engine counts as late."""

WaitUntilFree = Callable[[str], Awaitable[None]]
"""Waits until the engine of this name has finished the previous part: else the next part would queue."""


class FirstAudio:
    """Starts the parts of calls. `within_s` is the least time to the first audio of a part."""

    def __init__(self, catalogue: Catalogue, engines: Engines, budgets: Budgets, within_s: float) -> None:
        self._catalogue = catalogue
        self._engines = engines
        self.late = engines.late
        self.command_for = catalogue.command_for
        self._budgets = budgets
        self._within_s = within_s
        self._open_post = outside("proxy.speech_steps.post_steps", "open_post", _no_post)
        self._words_of = outside("proxy.speech_steps.word_times", "words_of", no_words)

    def start_stream(
        self,
        call: SpeechCall,
        run: PartRun,
        waited_s: float = 0.0,
        wait_until_free: WaitUntilFree | None = None,
    ) -> Coroutine[Any, Any, CandidateStream]:
        """Return the stream of the first candidate with audio. All share one time budget, less `waited_s`.
        Raises the last candidate's error if none gives audio."""
        left_s = (run.budget_s or self.budget_s(call, run)) - waited_s
        candidates: Sequence[Candidate] = run.part.candidates
        if len(candidates) > 1 and run.plays_at is None:
            candidates = self.in_order(candidates)
        if run.number and any(each.is_other_speaker for each in candidates):
            candidates = call.totals.keep_voice(run, candidates)
        if len(candidates) == 1 and wait_until_free is None:
            return self.attempt(call, run, candidates[0], left_s, provider_waits.LAST_SILENT_S)
        return CandidateRace(self, call, run, candidates, left_s, wait_until_free).first()

    def budget_s(self, call: SpeechCall, run: PartRun) -> float:
        """Return the time to first audio of a part, for all its candidates together, computed once."""
        if run.budget_s is not None:
            return run.budget_s
        part, source = run.part, call.request.source
        budget_s, repeats_s, hears_all = IDLE_S if call.job else self._within_s, 0.0, False
        sound_s = 0.0 if source is None else source.seconds
        for candidate in part.candidates:
            info, post = candidate.model.info, candidate.post
            budget_s = max(budget_s, info.first_audio_s or 0.0)
            if post is not None:
                # The repeating engine begins with the first sound of a candidate.
                info, sound_s = post.model.info, part.estimated_s
                repeats_s = max(repeats_s, info.first_audio_s or 0.0)
            hears_all = hears_all or info.hears_all_first
        budget_s += repeats_s
        if hears_all:
            budget_s += provider_waits.hearing_s(sound_s)
        run.budget_s = budget_s
        return budget_s

    def has_one_slot(self, engine: str) -> bool:
        return self._engines[engine].slots == 1

    def in_order(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Return the candidates, with those of late engines behind their neighbours: see `move_late_last`. If
        some stand in for the voice, an engine that is away counts as late. If the same speaker of another
        engine stands in, a busy engine does, too."""
        late = self.late.names
        stands_in = {each.stands_in for each in candidates}
        if stands_in != {""}:
            names = {each.model.engine for each in candidates if not each.stands_in}
            late = {name for name in names if name in late or not self._engines.is_usable(name)}
            if "same_speaker" in stands_in:
                late |= {name for name in names if self._engines.is_busy(name)}
        return move_late_last(candidates, late) if late else candidates

    def likely_candidate(self, call: SpeechCall, run: PartRun) -> Candidate:
        """Return the candidate that would speak a part now: the first that can, if its engine is usable.
        Raises EngineError if none can."""
        able, failure = list[Candidate](), EngineError("No engine was tried.")
        for candidate in self.in_order(run.part.candidates):
            try:
                job_of(call, run, candidate, run.text_for(candidate), call.part_form(candidate))
            except EngineError as error:
                failure = error
            else:
                able.append(candidate)
        if not able:
            raise failure
        return next((each for each in able if self._engines.is_usable(each.model.engine)), able[0])

    def _note_miss(self, call: SpeechCall, run: PartRun, candidate: Candidate, within_s: float) -> None:
        """Note that a candidate used all its time to first audio, if this shows that its engine is late."""
        is_local = candidate.model.info.is_local and candidate.post is None and run.source is None
        if is_local and not call.job and within_s >= _LEAST_SHARE * self.budget_s(call, run):
            self.late.note_miss(candidate, run.part.language, within_s)

    def hedge_s(self, call: SpeechCall, candidate: Candidate, follower: Candidate) -> float:
        """Return the wait for a candidate's audio before its follower starts too, in seconds; 0 for never."""
        own = self._catalogue.hedges_s.get(candidate.model.engine)
        if own is None:
            stands_in = "other_gender" if follower.is_robot else follower.stands_in
            return 0.0 if call.job or candidate.stands_in else provider_waits.stand_in_s(stands_in)
        return own

    async def attempt(
        self, call: SpeechCall, run: PartRun, candidate: Candidate, left_s: float, silent_s: float = 0.0
    ) -> CandidateStream:
        """Try one candidate up to its first audio, or leave nothing running. A provider may be silent for
        `silent_s`, or by its last first bytes if that is 0. Raises EngineError."""
        run.candidate = candidate
        text = run.text_for(candidate)
        if text.is_silent:
            raise UnsupportedText("Invalid 'input': it has nothing that can be spoken.")
        deadline = AudioTimeout()
        deadline.ends_at = ends_at = time.monotonic() + left_s
        stream: CandidateStream | None = None
        try:
            with deadline.expire_at(ends_at):
                stream = await self._prepare(call, run, candidate, text, deadline)
                await stream.read_first_audio(*self._open(call, run, stream, text, silent_s))
                run.winner = candidate
                return stream
        except TimeoutError:
            deadline.end_silence()
            failure: EngineError = EngineTimeout("No audio in time.", retry_after_s=2.0)
        except EngineError as error:
            failure = error
            if stream is not None:
                note_refusal(call.totals.attempts, (stream, stream.given_sound), error)
        finally:
            if stream is None:
                deadline.close()
            elif not stream.has_begun:
                await stream.close()
        if time.monotonic() >= ends_at - _NEARLY_S:
            self._note_miss(call, run, candidate, left_s)
        _log.warning("engine.speak.refused", **error_details(call.id, candidate.speaker, failure))
        raise failure

    async def _prepare(
        self, call: SpeechCall, run: PartRun, candidate: Candidate, text: PreparedText, deadline: AudioTimeout
    ) -> CandidateStream:
        """Return the stream of a candidate that has the money for its engine. Raises EngineError."""
        form = call.part_form(candidate)
        job = job_of(call, run, candidate, text, form)
        # If a rented machine has begun the step, perhaps before a kill, its money is held already.
        if not job.step or not await self._engines.has_begun(candidate.model.engine, job.step):
            await self._budgets.check_budgets(candidate.model.engine, call.caller.account, call.plan.terms)
        if candidate.post is not None:
            engine = candidate.post.model.engine
            await self._budgets.check_budgets(engine, call.caller.account, call.plan.terms)
        if not job.formats or candidate.post is not None:
            await libraries.ensure_loaded()
        return CandidateStream(
            candidate,
            job,
            partial(self._words_of, run, candidate, job),
            call.request.speed / job.speed,
            form,
            deadline,
            keeps_original=call.request.provenance is not None,
            lufs=self._engines.stated_lufs(candidate, run.part.language),
        )

    def _open(
        self, call: SpeechCall, run: PartRun, stream: CandidateStream, text: PreparedText, silent_s: float
    ) -> tuple[EngineStream, RepeatedSound | None]:
        """Open the engine of a candidate, as an attempt. Return its events, and the sound that it repeats."""
        model, source = stream.candidate.model, run.source
        attempt = Attempt(
            part=run.number,
            model=model,
            # A provider bills instructions as text. The account does not pay for them.
            characters=text.spoken_characters + len(stream.job.instructions),
            output=stream,
            rate=self._catalogue.provider_rate(model),
            given_sound=source,
        )
        call.totals.attempts.append(attempt)
        job = stream.job_with_deadline()
        engine = self._engines[model.engine]
        attempt.watch(stream.deadline, engine, job, silent_s)
        if silent_s and model.info.is_local and call.goes_whole:
            # No candidate follows, so what the engine has begun goes on while nobody waits for its slot.
            attempt.deadline = stream.deadline.go_on(IDLE_S, partial(self._engines.has_line, model.engine))
        if stream.candidate.post is not None:
            fields = call.request.extra
            return self._open_post(self._catalogue, call.totals.attempts, attempt, stream, job, fields)
        if source is None:
            return engine.open(Speak(job), attempt.note_dispatch), None
        pcm = PcmInMemory(source.pcm, SOURCE_HZ)
        return engine.open(Convert(job), attempt.note_dispatch, pcm), source


def _no_post(*_: object) -> tuple[EngineStream, RepeatedSound]:
    raise RepeaterAway("This server has no post-steps.")


class CandidateRace:
    """The race of one part's candidates, which share `within_s`."""

    def __init__(
        self,
        first_audio: FirstAudio,
        call: SpeechCall,
        run: PartRun,
        candidates: Sequence[Candidate],
        within_s: float,
        wait_until_free: WaitUntilFree | None,
    ) -> None:
        self._first_audio = first_audio
        self._call = call
        self._run = run
        self._wait_until_free = wait_until_free
        self._began = time.monotonic()
        self._deadline = self._began + within_s
        self._left = deque(candidates)
        self._failure: EngineError | None = None
        self._running: dict[asyncio.Task[CandidateStream | None], Candidate] = {}

    async def first(self) -> CandidateStream:
        if self._call.totals.substitute_note is False:
            self._left = deque([each for each in self._left if not each.needs_note])
        while self._left and time.monotonic() < self._deadline:
            if self._failure is not None and not self._failure.may_fall_back:
                break
            candidate = self._left.popleft()
            hedge_s = self._hedge_s(candidate)
            stream = await (self._try_with_hedge(candidate) if hedge_s else self._try_candidate(candidate))
            if stream is None:
                continue
            if self._call.totals.substitute_note is False and stream.candidate.needs_note:
                # The headers were sent meanwhile, and they do not announce this substitute.
                self._run.winner = None
                await run_to_end(stream.close())
                continue
            self._run.winner = stream.candidate
            return stream
        raise self._failure or EngineTimeout("No engine was tried.")

    def _hedge_s(self, candidate: Candidate) -> float:
        if not self._left or self._run.plays_at is not None:
            return 0.0
        return self._first_audio.hedge_s(self._call, candidate, self._left[0])

    async def _try_candidate(self, candidate: Candidate) -> CandidateStream | None:
        began = time.monotonic()
        if self._wait_until_free is not None:
            # The engine may be busy with the previous part. The deadline moves by the waited time.
            for model in candidate.models:
                await self._wait_until_free(model.engine)
            self._deadline += time.monotonic() - began
        now = time.monotonic()
        left_s = provider_waits.first_audio_share_s(self._deadline - now, len(self._left))
        silent_s = 0.0 if self._left else max(3.0, self._began + provider_waits.LAST_SILENT_S - now)
        try:
            return await self._first_audio.attempt(self._call, self._run, candidate, left_s, silent_s)
        except EngineError as failure:
            self._failure = failure
            if candidate.model.info.is_local:
                self._began += time.monotonic() - began  # only the silence of providers is bounded
            if isinstance(failure, RepeaterAway):
                self._left = deque([each for each in self._left if each.post != candidate.post])
            return None

    async def _try_with_hedge(self, candidate: Candidate) -> CandidateStream | None:
        winner: CandidateStream | None = None
        try:
            winner = await self._first_to_speak(candidate)
        finally:
            try:
                await run_to_end(self._stop_losers())
            except asyncio.CancelledError:
                # The caller was cancelled meanwhile, so the winner is closed, too.
                if winner is not None:
                    await run_to_end(winner.close())
                raise
        if winner is not None:
            # Another candidate may have begun after it.
            self._run.candidate = winner.candidate
        return winner

    async def _first_to_speak(self, candidate: Candidate) -> CandidateStream | None:
        """Start a candidate. If it takes too long, start the next one, too. The first to speak wins."""
        self._start(candidate)
        while self._running:
            newest = next(reversed(self._running.values()))
            hedge_s = self._hedge_s(newest) or None
            done, _ = await asyncio.wait(self._running, timeout=hedge_s, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                self._start(self._left.popleft())
            for task in done:
                del self._running[task]
                if (stream := task.result()) is not None:
                    self._note_losers(stream.candidate)
                    return stream
                if self._failure is not None and not self._failure.may_fall_back:
                    return None
        return None

    def _note_losers(self, winner: Candidate) -> None:
        """Note that others gave no sound before a voice that stands in."""
        for loser in self._running.values() if winner.stands_in else ():
            if hedge_s := self._first_audio.hedge_s(self._call, loser, winner):
                self._first_audio.late.note_miss(loser, self._run.part.language, hedge_s)

    def _start(self, candidate: Candidate) -> None:
        self._running[asyncio.create_task(self._try_candidate(candidate))] = candidate

    async def _stop_losers(self) -> None:
        for task in self._running:
            task.cancel()
        if not self._running:
            return
        await asyncio.wait(self._running)
        for task in self._running:
            if not task.cancelled() and task.exception() is None and (late := task.result()) is not None:
                await late.close()
