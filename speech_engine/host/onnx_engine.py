"""An engine that speaks with networks in onnxruntime.

Texts become pieces, and each piece's sound goes out as soon as it is made. Runs share the cores, and the one
whose sound is needed first comes first. A run has one thread, as that costs the processor least. A text that
is spoken alone has more, until its listener has some sound ahead. Workers that have onnxruntime import this.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import os
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import ClassVar, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from speech_engine.errors import EngineError, EngineFailed
from speech_engine.events import Audio, Event, Finished, Started, Word, Words
from speech_engine.host.listeners import DRY_SOUNDS, Listeners, SpokenText
from speech_engine.host.onnx_network import StopSwitch
from speech_engine.host.silence import TAIL_MS, Edges, Sound, end_of_segment, finish_piece, rest_after
from speech_engine.host.stoppable import run_stoppable
from speech_engine.host.voice_levels import VoiceLevel, VoiceLevels
from speech_engine.imported_voices import MODEL, OnnxSettings
from speech_engine.levels import factor_of, gain_db
from speech_engine.loudness import loudness_of
from speech_engine.models import ModelInfo, VoiceInfo
from speech_engine.pcm import PcmPieces
from speech_engine.plugin import Context
from speech_engine.text.sounds import Phonemize, Piece
from speech_engine.values import SpeechJob, Voice

V = TypeVar("V")
"""A voice, as the engine finds it."""
V_co = TypeVar("V_co", covariant=True)
N = TypeVar("N")
"""What a voice speaks with: one network, or several."""
T = TypeVar("T")

_MOST_THREADS = 4
"""The most threads of one run, unless the settings name more. Voices are small networks, which gain little by
further threads."""
_MOST_CORES = 8
"""The most cores of an engine whose settings name no slots, since each text takes memory for good."""
_ENOUGH_AHEAD_S = 3.0
"""The sound ahead of its listener with which a lone text goes on with one thread. A text with more waits no
longer for a core than with this."""

_FIRST_S = 0.5
"""The least sound that a listener gets first. A mark holds a part of it back, and the rest must last until
the next part is made."""

_ENOUGH_SOUNDS = 1000
"""After so many sounds of a text, no further piece is cut to reach its listener sooner."""

_MEASURED = "12, 34, 56, 78, 90. 21, 43, 65, 87, 10."
"""The text that a voice speaks to measure its loudness: two sentences in any language."""

_FULL_SCALE = 32767.0


class CoreShare(NamedTuple):
    """An engine's part of the processor: `slots` texts at once, on so many `cores`. A run has one thread, or
    `threads` at most."""

    slots: int
    threads: int
    cores: int


def core_share(settings: OnnxSettings) -> CoreShare:
    """Return the share that the settings ask for, as far as this machine has it."""
    usable = usable_cores()
    slots = settings.slots or min(usable, _MOST_CORES) * settings.texts_a_core
    threads = min(usable, settings.threads or _MOST_THREADS)
    return CoreShare(slots, threads, min(usable, slots * threads))


def usable_cores() -> int:
    """Return how many cores this process may use at once, by its affinity and its container's limit."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, int(quota) // int(period))
    return max(1, cores)


class NamedVoices(Protocol[V_co]):
    """The voices of an engine."""

    def infos(self) -> tuple[VoiceInfo, ...]: ...

    def model(self) -> ModelInfo: ...

    def find(self, voice: Voice, language: str) -> V_co:
        """Return the voice that is meant. Raise VoiceNotFound or UnsupportedLanguage."""
        ...


class OnnxEngine(ABC, Generic[V, N]):
    """Speaks some texts at once. A plugin's engine says how it reads a text, and how a piece sounds."""

    title: ClassVar[str]
    """The name by which messages call it."""

    def __init__(
        self,
        settings: OnnxSettings,
        share: CoreShare,
        context: Context,
        voices: NamedVoices[V],
        phonemize: Phonemize,
        threads: ThreadPoolExecutor,
    ) -> None:
        self.slots = share.slots
        self._most_threads = share.threads
        self._cores = _Cores(share.cores)
        self._listeners = Listeners()
        self._pause_ms = settings.pause_ms
        self._phonemize = phonemize
        self._tick = context.tick
        self._voices = voices
        self._threads = threads
        self._info = voices.model()
        self._levels = VoiceLevels()

    def models(self) -> tuple[ModelInfo, ...]:
        return (self._info,)

    def voices(self) -> tuple[VoiceInfo, ...]:
        return self._voices.infos()

    def find(self, voice: Voice, language: str) -> V:
        return self._voices.find(voice, language)

    @property
    def is_shared(self) -> bool:
        """Whether other texts are being spoken, too."""
        return len(self._listeners.texts) > 1

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        if job.model != MODEL:
            raise EngineFailed(f"{self.title} has one model, {MODEL!r}, and was asked for {job.model!r}")
        voice = self.find(job.voice, job.language)
        text = self._listeners.begin(job)
        try:
            # All texts first: a text that cannot be spoken is refused before a part is heard.
            pieces = await self.run(lambda _stop: self._pieces(job, voice))
            async with self.lend(voice, job.deadline_s) as network:
                yield Started(self._info.sample_rate_hz)
                sounds = PcmPieces(self._info.sample_rate_hz, job.max_samples)
                factor = await self._factor(network, voice)
                async with aclosing(self._pcm(network, pieces, voice, job.speed, factor, text)) as made:
                    async for segment, pcm, words in made:
                        text.add(len(pcm) / 2 / self._info.sample_rate_hz)
                        for chunk in sounds.feed(pcm):
                            yield Audio(segment, chunk)
                        if sounds.is_full:
                            break
                        if words:
                            yield Words(words, segment)
            yield Finished()
        finally:
            self._listeners.end(text)

    async def _pcm(
        self,
        network: N,
        pieces: list[tuple[int, Piece]],
        voice: V,
        speed: float,
        factor: float,
        text: SpokenText,
    ) -> AsyncGenerator[tuple[int, bytes, tuple[Word, ...]], None]:
        """Yield PCM with the number of its segment, and with the words of a piece at its end. `pieces` have
        such a number each."""
        rate_hz, sent = self._info.sample_rate_hz, 0
        # All sound so far has been heard at `plays_until`, by the monotonic clock. It is 0 before the first.
        plays_until, least_bytes = 0.0, 2 * round(_FIRST_S * rate_hz)
        edges: Edges | None = None
        for number, (segment, piece) in enumerate(pieces):
            if text.is_behind(time.monotonic()):
                piece, *more = self.cut(piece, DRY_SOUNDS)
                pieces[number + 1 : number + 1] = [(segment, each) for each in more]
            switch = StopSwitch()
            is_last = number + 1 == len(pieces)
            rest = rest_after(None if is_last else piece.ends, self._pause_ms, speed)
            sound = self.sounds(network, piece, voice, speed, switch)
            edges = Edges(rate_hz, rest.tail_ms, edges)
            parts = finish_piece(sound, edges, factor)
            held, begin = b"", sent
            while (pcm := await self._next(parts, switch, plays_until)) is not None:
                held += pcm
                sent += len(pcm) // 2
                # A voice may begin with silence, which is left out: the rest of a first part may be short.
                if plays_until or len(held) >= least_bytes:
                    plays_until = max(plays_until, time.monotonic()) + len(held) / 2 / rate_hz
                    yield segment, held, ()
                    held = b""
            plays_until = max(plays_until, time.monotonic()) + len(held) / 2 / rate_hz + rest.more_ms / 1000
            if switch.sounds_taken:
                of, following = pieces[number + 1]
                pieces[number + 1] = of, self.go_on(following, switch.sounds_taken)
            # A word lies in the sound of its piece, even if the network was silent there.
            words = tuple(
                Word(min(max(begin, begin + round(sample) - edges.cut), sent), word.start, word.end)
                for word, sample in zip(piece.words, switch.word_samples, strict=False)
            )
            added = round(rate_hz * rest.more_ms / 1000)
            sent += added
            yield segment, held + bytes(2 * added), words

    async def _next(self, parts: Iterator[Sound], switch: StopSwitch, plays_until: float) -> bytes | None:
        """Make the next part of a piece. Return None after the last one."""
        now = time.monotonic()
        enough = now + _ENOUGH_AHEAD_S
        wanted = self._most_threads if plays_until < enough and not self.is_shared else 1
        async with self._cores.lend(wanted, min(max(plays_until, now), enough)) as threads:
            switch.renew(threads, plays_until - time.monotonic())
            return await self._stoppable(lambda: _as_pcm(next(parts, None)), switch)

    async def _factor(self, network: N, voice: V) -> float:
        """Return the factor for a voice's samples that makes it as loud as all other voices."""
        level = self.level(voice)

        def measured(stop: StopSwitch) -> float | None:
            try:
                pieces = self.read(_MEASURED, voice, _ENOUGH_SOUNDS)
            except EngineError:
                return None
            sounds = [self.sounds(network, piece, voice, 1.0, stop) for piece in pieces]
            rate_hz = self._info.sample_rate_hz
            parts = [part for sound in sounds for part in finish_piece(sound, Edges(rate_hz, TAIL_MS))]
            return loudness_of(np.concatenate(parts), rate_hz)

        lufs = level.lufs
        if lufs is None:
            lufs = await self.run(lambda stop: self._levels.find(level, lambda: measured(stop)))
        return factor_of(gain_db(lufs))

    def _pieces(self, job: SpeechJob, voice: V) -> list[tuple[int, Piece]]:
        pieces: list[tuple[int, Piece]] = []
        for number, segment in enumerate(job.segments):
            # A text that is taken whole has no listener who waits for a short first piece.
            sounds_before = sum(piece.sounds for _, piece in pieces) + job.is_taken_whole * _ENOUGH_SOUNDS
            *others, last = self.read(segment.spoken, voice, sounds_before)
            pieces += ((number, piece) for piece in (*others, last._replace(ends=end_of_segment(segment))))
        return pieces

    async def run(self, work: Callable[[StopSwitch], T]) -> T:
        """Do some work in a thread, as `run_stoppable` does. The switch stops the network that it runs."""
        switch = StopSwitch()
        return await self._stoppable(lambda: work(switch), switch)

    async def _stoppable(self, work: Callable[[], T], switch: StopSwitch) -> T:
        texts = self._listeners.texts
        return await run_stoppable(self._threads, work, switch.stop, self._tick, sharers=texts)

    @abstractmethod
    def read(self, text: str, voice: V, sounds_before: int) -> list[Piece]:
        """Return the pieces of a text, after `sounds_before` sounds of others. It runs in a thread.

        Raise UnsupportedLanguage or UnsupportedText.
        """

    def cut(self, piece: Piece, most: int) -> list[Piece]:
        """Return the parts of a piece that has more sounds than a late listener should wait for."""
        return [piece]

    def go_on(self, piece: Piece, sounds: int) -> Piece:
        """Return a piece without its first sounds, which the piece before it has."""
        return piece

    @abstractmethod
    def level(self, voice: V) -> VoiceLevel:
        """Return the voice's name, and its loudness if its model's table has that."""

    @abstractmethod
    def lend(self, voice: V, within_s: float) -> AbstractAsyncContextManager[N]:
        """Give the network that a voice speaks with, once it is loaded. Raise EngineBusy if there is no room
        for it in time."""

    @abstractmethod
    def sounds(
        self, network: N, piece: Piece, voice: V, speed: float, stop: StopSwitch
    ) -> Iterator[NDArray[np.float32]]:
        """Yield the sound of a piece at the model's rate, in one part or more. Each part is made in a thread,
        by one run or two, which `stop` ends.

        `stop` may be told where the piece's words begin. Raise EngineFailed.
        """


class _Cores:
    """The cores that the runs of an engine share. Several go only to a run that takes them from no other."""

    def __init__(self, count: int) -> None:
        self._count = self._free = count
        # A heap by `needed_at`, and by arrival if two are equal. The future ends the wait.
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    @asynccontextmanager
    async def lend(self, wanted: int, needed_at: float) -> AsyncIterator[int]:
        """Lend a core, or as many as wanted, and tell how many. The run that is `needed_at` the earliest time
        gets the next one."""
        count = wanted if self._free == self._count else 1
        if self._free:
            self._free -= count
        else:
            turn = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (needed_at, next(self._numbers), turn))
            try:
                await turn
            except asyncio.CancelledError:
                if not turn.cancelled():
                    self._take_back(1)  # it was lent in the same moment
                raise
        try:
            yield count
        finally:
            self._take_back(count)

    def _take_back(self, count: int) -> None:
        self._free += count
        while self._free and self._waiting:
            *_, turn = heapq.heappop(self._waiting)
            if not turn.done():
                self._free -= 1
                turn.set_result(None)


def _as_pcm(sound: Sound | None) -> bytes | None:
    return None if sound is None else (sound * _FULL_SCALE).astype("<i2").tobytes()
