"""A mark in a process of its own, which many answers share. The first answer starts it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

import structlog

from proxy.audio.formats import SoundFailed
from proxy.helpers.helper import Helper, HelperFailed, Life
from speech_engine.host import plugin_messages
from speech_engine.mark import Detection, MarkKey

STEP_S = 20.0
"""The time for one step of a stream, the steps of other streams before it included."""
DETECT_S = 120.0
"""The time for one search, after the wait for its turn."""
MOST_STREAMS = 256
MOST_QUESTIONS = 8
"""The most searches that run or wait."""
PIECE_BYTES = 96_000
"""A second of sound, at most. A stream has no more on the way, so the others come soon."""

_log = structlog.get_logger()


class MarkUnusable(Exception):
    """The mark cannot be made or searched for now. The message is for the operator.

    With `is_busy`, the reason is that too many answers or searches use the mark.
    """

    def __init__(self, reason: str, *, is_busy: bool = False) -> None:
        super().__init__(reason)
        self.is_busy = is_busy


class HostedMark:
    """The mark as the server uses it. Close it."""

    def __init__(self, helper: Helper, *, step_s: float = STEP_S, detect_s: float = DETECT_S) -> None:
        self.name, self.helper = helper.spec.name, helper
        self.step_s = step_s
        self._detect_s = detect_s
        self._numbers = itertools.count(1)
        self._refusal: HelperFailed | None = None
        self._last_question = 0
        """The number of the question that the process has, or had last."""
        helper.on_end = self._note_end

    async def open(self, sample_rate_hz: int, key: MarkKey, payload: int) -> HostedMarkStream:
        """Open a stream. Raise MarkUnusable."""
        stream = HostedMarkStream(self, await self._take_life(), next(self._numbers))
        is_open = False
        try:
            if stream.life.users > MOST_STREAMS:
                raise MarkUnusable(f"the mark {self.name} is busy", is_busy=True)
            await stream.step(plugin_messages.OpenMarkStream(stream.number, sample_rate_hz, key, payload))
            is_open = True
        except SoundFailed as failed:
            raise MarkUnusable(str(failed)) from None
        finally:
            if not is_open:
                await stream.close()
        return stream

    async def detect(self, pcm: bytes, sample_rate_hz: int, keys: Sequence[MarkKey]) -> Detection:
        """Look for marks. Searches run one by one, and no stream waits for them.

        Raise MarkUnusable, which is busy if too many searches wait.
        """
        if len(self.helper.under_way) >= MOST_QUESTIONS:
            raise MarkUnusable(f"the mark {self.name} is busy", is_busy=True)
        question = plugin_messages.MarkQuestion(next(self._numbers), pcm, sample_rate_hz, tuple(keys))
        asking = self.helper.start_work(self._answer(question))
        try:
            answer = await asyncio.shield(asking)
        except asyncio.CancelledError:
            # A question that the process has cannot be taken back, and keeps its turn to the end.
            if self._last_question != question.number:
                asking.cancel()
            raise
        if answer.detection is None:
            raise MarkUnusable(f"the mark {self.name} failed: {answer.failure}")
        return answer.detection

    async def close(self) -> None:
        await self.helper.close()

    async def _answer(self, question: plugin_messages.MarkQuestion) -> plugin_messages.MarkAnswer:
        async with self.helper.turn:
            try:
                life = await self._take_life()
            except MarkUnusable as unusable:
                return plugin_messages.MarkAnswer(question.number, failure=str(unusable))
            self._last_question = question.number
            try:
                answer = await life.exchange(question.number, question, self._detect_s)
            except HelperFailed:
                return plugin_messages.MarkAnswer(question.number, failure="its process ended")
            except TimeoutError:
                # It ends with its last stream. Later streams get a new process.
                self.helper.end_after_use(life)
                return plugin_messages.MarkAnswer(
                    question.number, failure=f"no answer within {self._detect_s:g} s"
                )
            finally:
                self.helper.return_process(life)
            assert isinstance(answer, plugin_messages.MarkAnswer)
            return answer

    async def _take_life(self) -> Life:
        """Take a life of the process. Raise MarkUnusable."""
        try:
            return await self.helper.take_process()
        except HelperFailed as refused:
            if refused is not self._refusal:
                self._refusal = refused
                _log.warning("mark.process.failed", mark=self.name, reason=str(refused))
            raise MarkUnusable(str(refused)) from None

    def _note_end(self, life: Life) -> None:
        if life.users:
            _log.warning("mark.process.ended", mark=self.name, answers=life.users)


class HostedMarkStream:
    """The mark of one answer. A SoundFailed ends it."""

    def __init__(self, mark: HostedMark, life: Life, number: int) -> None:
        self.number, self.life = number, life
        self._mark = mark
        self._is_broken = self._is_closed = False

    async def feed(self, pcm: bytes) -> bytes:
        pieces = (pcm[at : at + PIECE_BYTES] for at in range(0, len(pcm), PIECE_BYTES))
        return b"".join([await self.step(plugin_messages.MarkSound(self.number, piece)) for piece in pieces])

    async def flush(self) -> bytes:
        try:
            return await self.step(plugin_messages.MarkSound(self.number, is_last=True))
        finally:
            # Its listener may take minutes to hear the rest, and others need the place.
            await self.close()

    async def close(self) -> None:
        self._is_broken = True
        if not self._is_closed:
            self._is_closed = True
            self.life.child.send(plugin_messages.CloseMarkStream(self.number))
            self._mark.helper.return_process(self.life)

    async def step(self, message: plugin_messages.OpenMarkStream | plugin_messages.MarkSound) -> bytes:
        """Return the sound that a step gives. Raise SoundFailed."""
        name = self._mark.name
        if self._is_broken:
            raise SoundFailed(f"the mark {name} has ended")
        # Until its answer is here, this step counts as failed: the next step would get a late answer.
        self._is_broken = True
        before = self.life.numbered_answer_count
        try:
            answer = await self.life.exchange(self.number, message, self._mark.step_s)
        except HelperFailed:
            raise SoundFailed(f"the process of the mark {name} ended") from None
        except TimeoutError:
            if self.life.numbered_answer_count == before:
                self._mark.helper.kill_process(self.life)  # it is frozen: it answered no step in this time
            raise SoundFailed(f"the mark {name} gave no sound within {self._mark.step_s:g} s") from None
        assert isinstance(answer, plugin_messages.MarkedSound)
        if answer.failure:
            raise SoundFailed(f"the mark {name} failed: {answer.failure}")
        self._is_broken = False
        return answer.pcm
