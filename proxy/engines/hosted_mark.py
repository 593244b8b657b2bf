"""A mark in a process of its own, which many answers share. It is started by the first one that needs it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

import structlog

from proxy.audio.steps import SoundFailed
from proxy.engines.mark_process import MarkProcess, MarkProcessEnded
from proxy.engines.plugin_process import PluginLauncher, PluginProcessFailed
from speech_engine.host.mark_messages import (
    CloseMarkStream,
    MarkAnswer,
    MarkedSound,
    MarkQuestion,
    MarkReady,
    MarkSound,
    OpenMarkStream,
)
from speech_engine.mark import Detection, MarkKey

LOAD_S = 60.0
STEP_S = 20.0
"""The time for one step of a stream, the steps of other streams before it included."""
DETECT_S = 120.0
IDLE_S = 900.0
MOST_STREAMS = 256
MOST_QUESTIONS = 8
PIECE_BYTES = 96_000
"""A second of sound, at most. A stream has no more on the way, so the others come soon."""

_REST_S = 10.0
"""The pause after a start that failed."""

_log = structlog.get_logger()


class MarkUnusable(Exception):
    """The mark cannot be made or looked for now. The message is for the operator."""


class MarkBusy(MarkUnusable):
    """Too many use the mark now."""


class HostedMark:
    """The mark as the server asks for it. Close it."""

    def __init__(
        self,
        name: str,
        launcher: PluginLauncher,
        *,
        step_s: float = STEP_S,
        detect_s: float = DETECT_S,
        idle_s: float = IDLE_S,
    ) -> None:
        self.name = name
        self.step_s = step_s
        self._launcher = launcher
        self._detect_s = detect_s
        self._idle_s = idle_s
        self._numbers = itertools.count(1)
        self._running: MarkProcess | None = None
        self._starting: asyncio.Task[MarkProcess | None] | None = None
        self._refusal = ""
        self._rests_until = 0.0
        self._lives: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._questions: set[asyncio.Task[MarkAnswer]] = set()
        self._asked = 0
        """The number of the question that the process has, or had last."""

    def __repr__(self) -> str:
        return f"<HostedMark {self.name}, {self._running!r}>"

    async def open(self, sample_rate_hz: int, key: MarkKey, payload: int) -> HostedMarkStream:
        """Open a stream. Raise MarkUnusable."""
        running = await self._ready()
        if len(running.users) >= MOST_STREAMS:
            raise MarkBusy(f"the mark {self.name} is busy")
        stream = HostedMarkStream(self, running, next(self._numbers))
        is_open = False
        try:
            await stream.step(OpenMarkStream(stream.number, sample_rate_hz, key, payload))
            is_open = True
        except SoundFailed as failed:
            raise MarkUnusable(str(failed)) from None
        finally:
            if not is_open:
                await stream.close()
        return stream

    async def detect(self, pcm: bytes, sample_rate_hz: int, keys: Sequence[MarkKey]) -> Detection:
        """Look for marks. A question waits for others, and no stream waits for it.

        Raise MarkBusy if too many questions wait, and MarkUnusable.
        """
        if len(self._questions) >= MOST_QUESTIONS:
            raise MarkBusy(f"the mark {self.name} is busy")
        question = MarkQuestion(next(self._numbers), pcm, sample_rate_hz, tuple(keys))
        asking = asyncio.create_task(self._answer(question))
        self._questions.add(asking)
        asking.add_done_callback(self._questions.discard)
        try:
            answer = await asyncio.shield(asking)
        except asyncio.CancelledError:
            # A question that the process has cannot be taken back, and keeps its turn to the end.
            if self._asked != question.number:
                asking.cancel()
            raise
        if answer.detection is None:
            raise MarkUnusable(f"the mark {self.name} failed: {answer.failure}")
        return answer.detection

    async def close(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait({self._starting})
        for task in (*self._questions, *self._lives):
            task.cancel()
        while others := self._questions | self._lives:
            await asyncio.wait(others)
        await self._launcher.close()

    def retire(self, running: MarkProcess) -> None:
        """Let a process end with its last stream: a new one takes what comes."""
        if self._running is running:
            self._running = None
        running.stop_after(0.0)

    async def _answer(self, question: MarkQuestion) -> MarkAnswer:
        async with self._turn:
            try:
                running = await self._ready()
            except MarkUnusable as unusable:
                return MarkAnswer(question.number, failure=str(unusable))
            running.enter(question.number)
            self._asked = question.number
            try:
                answer = await running.ask(question.number, question, self._detect_s)
            except MarkProcessEnded:
                return MarkAnswer(question.number, failure="its process ended")
            except TimeoutError:
                self.retire(running)
                return MarkAnswer(question.number, failure=f"no answer within {self._detect_s:g} s")
            finally:
                running.leave(question.number)
            assert isinstance(answer, MarkAnswer)
            return answer

    async def _ready(self) -> MarkProcess:
        if self._running is not None and not self._running.is_over:
            return self._running
        if self._starting is None:
            if asyncio.get_running_loop().time() < self._rests_until:
                raise MarkUnusable(self._refusal)
            # One start for all who wait for it: whoever leaves meanwhile takes nothing from the others.
            self._starting = asyncio.create_task(self._start())
        running = await asyncio.shield(self._starting)
        if running is None:
            raise MarkUnusable(self._refusal)
        return running

    async def _start(self) -> MarkProcess | None:
        try:
            async with asyncio.timeout(LOAD_S):
                process = await self._launcher.start()
            if not isinstance(process.ready, MarkReady):
                self._launcher.end(process.child, process.messages)
                raise PluginProcessFailed("its process is no mark's")
        except (PluginProcessFailed, TimeoutError) as error:
            self._refusal = str(error) or f"{self.name} was not ready within {LOAD_S:g} s"
            self._rests_until = asyncio.get_running_loop().time() + _REST_S
            _log.warning("mark.process.failed", mark=self.name, reason=self._refusal)
            return None
        finally:
            self._starting = None
        running = MarkProcess(process, self._idle_s)
        life = asyncio.create_task(self._live(running))
        self._lives.add(life)
        life.add_done_callback(self._lives.discard)
        self._running = running
        return running

    async def _live(self, running: MarkProcess) -> None:
        try:
            await running.read()
        finally:
            if self._running is running:
                self._running = None
            if running.users:
                _log.warning("mark.process.ended", mark=self.name, answers=len(running.users))
            running.end()
            self._launcher.end(running.process.child, running.process.messages)


class HostedMarkStream:
    """The mark of one answer, see `AnswerMark`. A fault ends it."""

    def __init__(self, mark: HostedMark, running: MarkProcess, number: int) -> None:
        self.number = number
        self._mark = mark
        self._running = running
        self._is_broken = False
        running.enter(number)

    def __repr__(self) -> str:
        return f"<HostedMarkStream {self._mark.name} {self.number}>"

    async def feed(self, pcm: bytes) -> bytes:
        pieces = (pcm[at : at + PIECE_BYTES] for at in range(0, len(pcm), PIECE_BYTES))
        return b"".join([await self.step(MarkSound(self.number, piece)) for piece in pieces])

    async def flush(self) -> bytes:
        try:
            return await self.step(MarkSound(self.number, is_last=True))
        finally:
            # Its listener may take minutes to hear the rest, and others need the place.
            await self.close()

    async def close(self) -> None:
        """Let the process forget the stream."""
        self._is_broken = True
        if self._running.leave(self.number):
            self._running.process.child.send(CloseMarkStream(self.number))

    async def step(self, message: OpenMarkStream | MarkSound) -> bytes:
        """Return the sound that a step gives. Raise SoundFailed."""
        name = self._mark.name
        if self._is_broken:
            raise SoundFailed(f"the mark {name} has ended")
        # If nobody takes this step's answer, the next step would get it.
        self._is_broken = True
        heard = self._running.heard
        try:
            answer = await self._running.ask(self.number, message, self._mark.step_s)
        except MarkProcessEnded:
            raise SoundFailed(f"the process of the mark {name} ended") from None
        except TimeoutError:
            if self._running.heard == heard:
                self._running.process.child.kill()  # it is frozen: it answered nobody in this time
            raise SoundFailed(f"the mark {name} gave no sound within {self._mark.step_s:g} s") from None
        assert isinstance(answer, MarkedSound)
        if answer.failure:
            raise SoundFailed(f"the mark {name} failed: {answer.failure}")
        self._is_broken = False
        return answer.pcm
