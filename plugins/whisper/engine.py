"""The engine of Whisper: recordings become windows, and the one network takes the windows of all in turn.

It gets the network from `worker.py`, and loads no library itself.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, contextmanager
from functools import partial
from itertools import pairwise
from typing import Final, Protocol, TypeVar

import numpy as np

from plugins.whisper.plugin import WhisperSettings, whisper_language
from plugins.whisper.windows import CHUNK, MOST_S, Floats, Window, WindowCutter
from speech_engine import (
    Context,
    EngineCannot,
    EngineFailed,
    ModelInfo,
    SpeechJob,
    UnsupportedLanguage,
    UnusableSample,
)
from speech_engine.events import Event, Finished
from speech_engine.hearing import HEARING_HZ, HearJob, Transcript, TranscriptSegment
from speech_engine.host.fair import WAITED_FOR, FairOrder, Ticket
from speech_engine.host.stoppable import run_stoppable
from speech_engine.values import Urgency

MOST_KNOWN_S: Final = 600.0
"""The longest recording whose words are known: it is held in memory."""

_READ_BYTES = 2 * HEARING_HZ * 10
_SHORT: Final[frozenset[Urgency]] = frozenset({"live"})

T = TypeVar("T")


class Detector(Protocol):
    """Says how likely each `CHUNK` of one recording is speech. The chunks come in order."""

    def likely(self, samples: Floats) -> Floats: ...


class Network(Protocol):
    """The part of `WhisperNetwork` that the engine uses. `hear` and `score` run in a thread. Before each
    further piece of a window, they yield its samples."""

    languages: tuple[str, ...]

    def detector(self) -> Detector: ...

    def hear(
        self, job: HearJob, language: str, window: Window, stop: threading.Event
    ) -> Generator[int, None, tuple[list[TranscriptSegment], str]]: ...

    def score(
        self, job: HearJob, language: str, window: Window, texts: Sequence[str], stop: threading.Event
    ) -> Generator[int, None, list[TranscriptSegment]]: ...


class WhisperEngine:
    def __init__(
        self,
        settings: WhisperSettings,
        context: Context,
        info: ModelInfo,
        network: Network,
        thread: ThreadPoolExecutor,
    ) -> None:
        self.slots = settings.slots
        self._language = settings.language
        self._tick = context.tick
        self._info = info
        self._network = network
        self._thread = thread
        self._turns = Turns()

    def __repr__(self) -> str:
        return f"<WhisperEngine {self._info.id}, {self._turns!r}>"

    def models(self) -> tuple[ModelInfo, ...]:
        return (self._info,)

    def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        raise EngineCannot("Whisper speaks no text.")

    async def transcribe(self, job: HearJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        if job.model != self._info.id:
            raise EngineFailed(f"Whisper has one model, {self._info.id!r}, and was asked for {job.model!r}")
        language = whisper_language(job.language or ("" if job.languages else self._language))
        if language and language not in self._network.languages:
            raise UnsupportedLanguage(f"This model does not know the language {job.language[:20]!r}.")
        events = self._known(job, language, pcm) if job.texts else self._unknown(job, language, pcm)
        with self._turns.present(job):
            async with aclosing(events) as found:
                async for event in found:
                    yield event
        yield Finished()

    async def _unknown(
        self, job: HearJob, language: str, pcm: AsyncIterator[bytes]
    ) -> AsyncGenerator[Event, None]:
        async with aclosing(self._windows(pcm)) as windows:
            async for window in windows:
                segments: list[TranscriptSegment] = []
                if samples := len(window.samples):
                    work = partial(self._network.hear, job, language, window)
                    segments, language = await self._in_turns(job, samples, work)
                yield Transcript(tuple(segments), window.up_to / HEARING_HZ)

    async def _known(
        self, job: HearJob, language: str, pcm: AsyncIterator[bytes]
    ) -> AsyncGenerator[Event, None]:
        """Find known words: all in one window, or each text where it begins."""
        held = bytearray()
        async for data in pcm:
            held += data
            if len(held) > MOST_KNOWN_S * 2 * HEARING_HZ:
                raise UnusableSample(f"A recording of known words has {MOST_KNOWN_S:.0f} seconds at most.")
        sound = _floats(held)
        most = int(MOST_S * HEARING_HZ)
        if not job.starts_s and len(sound) > most:
            raise UnusableSample("In a long recording, each known text needs its beginning.")
        texts = [(each,) for each in job.texts] if job.starts_s else [job.texts]
        starts = [min(len(sound), round(each * HEARING_HZ)) for each in job.starts_s or (0.0,)]
        for own, (begin, end) in zip(texts, pairwise([*starts, len(sound)]), strict=True):
            samples, likely = sound[begin : min(end, begin + most)], np.empty(0, np.float32)
            if job.transcribes:
                likely = await asyncio.to_thread(self._network.detector().likely, _in_chunks(samples))
            work = partial(self._network.score, job, language, Window(begin, samples, end, likely), own)
            segments = await self._in_turns(job, len(samples), work)
            yield Transcript(tuple(segments), end / HEARING_HZ)

    async def _windows(self, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Window, None]:
        detector, cutter, held = self._network.detector(), WindowCutter(), bytearray()

        async def add(whole: int) -> None:
            samples = _floats(held[:whole])
            del held[:whole]
            cutter.add(samples, await asyncio.to_thread(detector.likely, _in_chunks(samples)))
            self._tick()

        async for data in pcm:
            held += data
            if len(held) >= _READ_BYTES:
                await add(len(held) // (2 * CHUNK) * 2 * CHUNK)
                while (window := cutter.next()) is not None:
                    yield window
        if len(held) > 1:
            await add(len(held))
        while (window := cutter.next(is_last=True)) is not None:
            yield window

    async def _in_turns(
        self, job: HearJob, samples: int, work: Callable[[threading.Event], Generator[int, None, T]]
    ) -> T:
        """Hear a window. Each of its pieces has a turn of its own: one recording may have many."""
        stop = threading.Event()
        pieces, made = work(stop), None

        def hear_piece() -> tuple[int, T | None]:
            try:
                return next(pieces), None
            except StopIteration as end:
                return 0, end.value

        while made is None:
            stop.clear()  # the piece before has set it at its end
            async with self._turns.turn(job, samples / HEARING_HZ):
                samples, made = await run_stoppable(self._thread, hear_piece, stop.set, self._tick)
        return made


def _floats(pcm: bytearray) -> Floats:
    whole = bytes(pcm[: len(pcm) // 2 * 2])
    return np.frombuffer(whole, "<i2").astype(np.float32) / np.float32(32768)


def _in_chunks(samples: Floats) -> Floats:
    return np.pad(samples, (0, -len(samples) % CHUNK))


class _Turn(Ticket):
    def __init__(self, job: HearJob, seconds: float) -> None:
        urgency: Urgency = job.urgency
        if urgency != "idle":
            # The windows of checks have no more than their share: they pass no other.
            urgency = "live" if job.estimated_s <= MOST_S and not job.transcribes else "whole"
        super().__init__(job.tenant, seconds, job.share, urgency)
        self.begins: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Turns:
    """The order in which the windows of all jobs get the one network.

    It is fair by account. A short job goes before the windows of long ones, so that a voice note does not
    wait for hours of talk; but not twice in a row before what is due. Idle jobs wait until no other is there.
    """

    def __init__(self) -> None:
        self._order: FairOrder[_Turn] = FairOrder()
        self._has_short_passed = False
        self._present_jobs = 0

    def __repr__(self) -> str:
        return f"<Turns of {self._present_jobs} jobs, {self._order.waiting} waiting>"

    @contextmanager
    def present(self, job: HearJob) -> Iterator[None]:
        """Note a job, also between two of its windows. Idle jobs are not counted."""
        self._present_jobs += job.urgency != "idle"
        try:
            yield
        finally:
            self._present_jobs -= job.urgency != "idle"
            self._go_on()

    @asynccontextmanager
    async def turn(self, job: HearJob, seconds: float) -> AsyncIterator[None]:
        """Have the network for a window of so many seconds while the block runs."""
        turn = _Turn(job, seconds)
        self._order.push(turn)
        self._go_on()
        try:
            await turn.begins
            yield
        finally:
            if turn.begins.cancelled():
                self._order.discard(turn)
            else:
                self._order.end(turn, seconds)
            self._go_on()

    def _go_on(self) -> None:
        while not self._order.running:
            due = self._order.head(WAITED_FOR) or (None if self._present_jobs else self._order.head())
            if due is None:
                return
            short = None if self._has_short_passed else self._order.head(_SHORT)
            chosen = short or due
            if chosen.begins.cancelled():
                self._order.discard(chosen)  # its task has left, and has not woken yet
                continue
            self._has_short_passed = chosen is not due
            self._order.pop(chosen).begins.set_result(None)
