"""The parts of a checked call: each is made as a whole, heard, and made again if it is not right."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from math import inf

from policies.routing import Candidate
from proxy.audio.formats import Chunk
from proxy.features.heard.made_part import RESULTS, UNHEARD, MadePart
from proxy.features.heard.sentence_parts import at_sentences
from proxy.speech.call import PartRun, SpeechCall
from proxy.speech.candidate_race import FirstAudio, WaitUntilFree
from proxy.speech.candidate_stream import CandidateStream
from proxy.speech.engine_job import urgency_of
from proxy.speech.part import Part
from proxy.speech.prefetch import Prefetch
from proxy.speech.spill import SpillQuota
from proxy.speech.spoken_word import SpokenWord
from proxy.speech_steps.check_totals import CheckTotals, PartVerdict, SpokenWrong
from proxy.speech_steps.checked_parts import CheckedParts, PartCheck
from proxy.speech_steps.word_times import positions_of
from speech_engine import EngineError, SpeechJob

LONGEST_S = 60.0
"""A part that is expected to be longer is not heard: it is a text without sentences."""
_TIMES_ITS_LENGTH, _LEAST_S, _LEAST_WHOLE_S = 3.0, 1.0, 60.0
"""How long a made part may be heard and spoken again: so many times its length, and at least so long."""
_AGAIN_SHARE = 0.3
"""The part of a request's estimated length that may be spoken again."""
_ALWAYS_AGAIN = 2
"""So many parts may always be spoken again, even if the request is short."""
_MOST_AGAIN = {"right": 0, "unchecked": 0, "unsure": 1, "wrong": 2}
_LATE_CHECKS_S = 5.0
"""How long the end of an answer waits for the verdicts on parts that were sent before they were heard."""


class MadePartCheck(PartCheck):
    """A check that hears made parts: a subclass has `obstacle` and `verdict_on`."""

    is_paid_again = False
    """Whether a provider that bills a text when it gets it is asked for the same one again."""

    async def verdict_on(self, made: MadePart) -> PartVerdict:
        """Hear a made part. It raises no EngineError, and returns by the end of its time."""
        raise NotImplementedError

    def at_sentences(self, parts: Sequence[Part], text: str, speed: float) -> Sequence[Part]:
        return at_sentences(parts, text, speed)

    def begin_parts(
        self, first_audio: FirstAudio, room: SpillQuota, call: SpeechCall, note_made: Callable[[int], None]
    ) -> PartsOfCall:
        return PartsOfCall(first_audio, self, room, call, note_made)


class CheckedPart:
    """A `SpeechStream` of a part: of its `chunks`, or as it comes from its source.

    What comes from the source is collected for `note_end`, which gets all of it before the last chunk.
    """

    holds_engine = False

    def __init__(
        self,
        source: Prefetch[CandidateStream],
        stream: CandidateStream,
        chunks: Sequence[Chunk] | None = None,
        note_end: Callable[[bytes], None] | None = None,
    ) -> None:
        self.candidate = stream.candidate
        self.lufs = stream.lufs
        self._source = source
        self._stream = stream
        self._chunks = None if chunks is None else deque(chunks)
        self._note_end = note_end
        self._collected: list[bytes] = []

    @property
    def job(self) -> SpeechJob:
        return self._stream.job

    @property
    def words(self) -> Sequence[SpokenWord] | None:
        return self._stream.words

    async def next_chunk(self) -> Chunk | None:
        if self._chunks is not None:
            return self._chunks.popleft() if self._chunks else None
        chunk = await self._source.next_chunk()
        if self._note_end is not None:
            if chunk is not None:
                self._collected.append(chunk.data)
            else:
                self._collected.append(self._source.last_chunk().data)
                self._note_end(b"".join(self._collected))
                self._note_end = None
        return chunk

    def last_chunk(self) -> Chunk:
        return self._source.last_chunk()

    async def close(self) -> None:
        await self._source.close()


class _Try:
    """One try of a part, and its verdict."""

    def __init__(self, source: Prefetch[CandidateStream], chunks: Sequence[Chunk]) -> None:
        assert source.stream is not None
        self.source, self.stream, self.chunks = source, source.stream, chunks
        self.pcm = b"".join([chunk.data for chunk in chunks]) + source.last_chunk().data
        self.verdict = UNHEARD

    @classmethod
    async def of(cls, source: Prefetch[CandidateStream]) -> _Try:
        """Return a try that was made to its end. Raises EngineError if it broke."""
        chunks: list[Chunk] = []
        while (chunk := await source.next_chunk()) is not None:
            chunks.append(chunk)
        return cls(source, chunks)

    @property
    def rank(self) -> tuple[int, int]:
        """The better the try, the lower."""
        return RESULTS.index(self.verdict.result), len(self.verdict.words)


class PartsOfCall(CheckedParts):
    def __init__(
        self,
        first_audio: FirstAudio,
        check: MadePartCheck,
        room: SpillQuota,
        call: SpeechCall,
        note_made: Callable[[int], None],
    ) -> None:
        self._first_audio = first_audio
        self._check = check
        self._room = room
        self._call = call
        assert isinstance(call.totals.check, CheckTotals)
        self._totals = call.totals.check
        self._note_made = note_made
        self._again_s = 0.0
        self._parts_again = 0
        self._made = [asyncio.Event() for _ in call.totals.parts]
        self._late_checks: set[asyncio.Task[None]] = set()
        self._late_checks_s = _LEAST_WHOLE_S if call.goes_whole else _LATE_CHECKS_S

    async def start_part(
        self, run: PartRun, waited_s: float, wait_until_free: WaitUntilFree | None
    ) -> CheckedPart:
        """Return a part that may be sent. It stands in place of `FirstAudio.start_stream`."""
        begin = partial(self._first_audio.start_stream, self._call, run, waited_s, wait_until_free)
        source = Prefetch(begin, self._room)
        tries = [source]
        try:
            return await self._checked(run, source, tries)
        except BaseException:
            for each in tries:
                await each.close()
            raise
        finally:
            self._made[run.number].set()

    async def wait_made(self, number: int) -> None:
        """Wait until the engine has finished this part, though it may not be heard yet."""
        await self._made[number].wait()

    async def wait_checked(self) -> None:
        """Wait a moment for the verdicts on parts that were sent before they were heard."""
        if self._late_checks:
            await asyncio.wait(self._late_checks, timeout=self._late_checks_s)

    async def stop_checks(self) -> None:
        for task in self._late_checks:
            task.cancel()
        if self._late_checks:
            await asyncio.wait(self._late_checks)

    async def _checked(
        self, run: PartRun, source: Prefetch[CandidateStream], tries: list[Prefetch[CandidateStream]]
    ) -> CheckedPart:
        """Return the best try of a part. Each further source is added to `tries`: the caller closes them all
        if this raises."""
        stream = await source.wait_begun()
        why = (
            "long"
            if run.estimated_s > LONGEST_S
            else self._check.obstacle(stream.candidate, run.part.language)
        )
        if why:
            self._totals.note_verdict(run.number, PartVerdict("unchecked", (), why), 0.0)
            return CheckedPart(source, stream)
        plays_at = self._plays_at(run)
        is_late = self._call.plan.check == "behind" and not run.number
        if is_late or not await _is_made(source, plays_at):
            self._totals.note_verdict(run.number, UNHEARD, 0.0)
            return CheckedPart(source, stream, note_end=partial(self._start_late_check, run, stream))
        best: _Try | None = None
        failure = EngineError("It was not made in time.")
        try:
            best = await _Try.of(source)
        except EngineError as error:
            if not error.may_fall_back:
                raise
            failure = error
        self._made[run.number].set()
        least_s = _LEAST_WHOLE_S if self._call.goes_whole else _LEAST_S
        until = min(plays_at, time.monotonic() + max(least_s, _TIMES_ITS_LENGTH * run.estimated_s))
        if best is not None:
            self._note_made(run.number)
            best.verdict = await self._hear(run, best.stream, best.pcm, until - time.monotonic())
        best = await self._speak_again(run, stream.candidate, best, until, tries)
        if best is None:
            raise failure
        for each in tries:
            if each is not best.source:
                await each.close()
        run.candidate = run.winner = best.stream.candidate
        length_s = len(best.pcm) / (2 * best.stream.sample_rate_hz)
        await self._note(run, best.verdict, length_s)
        if best.verdict.result == "wrong" and self._call.request.on_wrong == "fail":
            # The answer breaks off here.
            await self._totals.free(range(len(self._totals.lengths_s)))
            raise SpokenWrong("A sentence was said wrong, and saying it again did not help.")
        return CheckedPart(best.source, best.stream, best.chunks)

    def _plays_at(self, run: PartRun) -> float:
        """Return when a listener hears a part, by `time.monotonic`; `inf` if it is not made ahead of time."""
        now = time.monotonic()
        urgency, plays_in_s, _ = urgency_of(self._call, run, run.winner or run.candidates[0], now)
        return now + plays_in_s if urgency == "ahead" else inf

    async def _hear(self, run: PartRun, stream: CandidateStream, pcm: bytes, within_s: float) -> PartVerdict:
        call = self._call
        return await self._check.verdict_on(
            MadePart(
                account=call.caller.account,
                part=run.part,
                again=run.retries,
                candidate=stream.candidate,
                job=stream.job,
                places=positions_of(run, stream.candidate, stream.job),
                pcm=pcm,
                rate_hz=stream.sample_rate_hz,
                within_s=within_s,
                is_idle=bool(call.job),
                goes_whole=call.goes_whole,
            )
        )

    async def _speak_again(
        self,
        run: PartRun,
        speaker: Candidate,
        best: _Try | None,
        until: float,
        tries: list[Prefetch[CandidateStream]],
    ) -> _Try | None:
        """Say a part again while it is not right, or broke off, and there is time. Return the best try."""
        for number, candidate in enumerate(self._next_candidates(run, speaker), 1):
            most = _MOST_AGAIN["wrong" if best is None else best.verdict.result]
            if number > most or not self._may_speak_again(run, until):
                break
            if not run.retries:  # the tries of a part count once
                self._again_s += run.estimated_s
                self._parts_again += 1
            run.retries += 1
            self._totals.again += 1
            left_s = until - time.monotonic()
            begin = partial(self._first_audio.attempt, self._call, run, candidate, left_s)
            tries.append(source := Prefetch(begin, self._room))
            with suppress(EngineError):
                if await _is_made(source, until):
                    attempt = await _Try.of(source)
                    attempt.verdict = await self._hear(
                        run, attempt.stream, attempt.pcm, until - time.monotonic()
                    )
                    best = attempt if best is None else min(best, attempt, key=lambda each: each.rank)
        return best

    def _may_speak_again(self, run: PartRun, until: float) -> bool:
        most_s = _AGAIN_SHARE * self._call.plan.estimated_s
        is_few = self._parts_again < _ALWAYS_AGAIN or self._again_s + run.estimated_s <= most_s
        return (run.retries > 0 or is_few) and time.monotonic() < until

    def _next_candidates(self, run: PartRun, speaker: Candidate) -> Iterator[Candidate]:
        """Yield who may say a part again: the same model with another seed or another cut, then others of the
        same speaker. A wrong word is better than the sentence of another person."""
        if not speaker.model.info.billed_on_submit or self._check.is_paid_again:
            yield speaker
        for other in run.candidates:
            if other is not speaker and not other.is_other_speaker and not other.is_robot:
                yield other

    def _start_late_check(self, run: PartRun, stream: CandidateStream, pcm: bytes) -> None:
        length_s = self._totals.lengths_s[run.number] = len(pcm) / (2 * stream.sample_rate_hz)
        task = asyncio.create_task(self._check_late(run, stream, pcm, length_s))
        self._late_checks.add(task)
        task.add_done_callback(self._late_checks.discard)

    async def _check_late(self, run: PartRun, stream: CandidateStream, pcm: bytes, length_s: float) -> None:
        verdict = await self._hear(run, stream, pcm, self._late_checks_s)
        await self._note(run, verdict, length_s)

    async def _note(self, run: PartRun, verdict: PartVerdict, length_s: float) -> None:
        self._totals.note_verdict(run.number, verdict, length_s)
        if verdict.result == "wrong":
            await self._totals.free((run.number,))


async def _is_made(source: Prefetch[CandidateStream], until: float) -> bool:
    """Wait for the end of a part, up to a moment. Return whether it has ended."""
    with suppress(TimeoutError):
        async with asyncio.timeout(None if until == inf else max(0.0, until - time.monotonic())):
            await source.finished.wait()
    return source.finished.is_set()
