"""Two engines as one stream: the second repeats the speech of the first while the first still speaks.

The sound between them is bounded, so a slow listener slows down both. It can be read only once: if the second
engine fails, the next candidate speaks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Container

import speech_engine
from proxy.audio.formats import SAMPLE_BYTES, USUAL_FORMS, SoundFailed
from proxy.audio.frames_mp3 import Original
from proxy.audio.sound import Sound
from proxy.errors import HostLost
from proxy.speech.attempt import RepeaterAway
from proxy.speech.speech_request import SOURCE_HZ
from speech_engine import Audio, Encoded, EngineError, EngineFailed, Event, Finished, Started, Word, Words
from speech_engine.host.engine_stream import EngineStream, run_to_end
from speech_engine.pcm import PcmPieces

MOST_WAITING = 10
"""The most pieces of 100 ms that wait between the engines."""

_REQUEST_FAULTS = (
    speech_engine.UnsupportedLanguage,
    speech_engine.UnsupportedText,
    speech_engine.UnsupportedInstructions,
    speech_engine.UnsupportedOption,
    speech_engine.VoiceNotFound,
    speech_engine.ContentRefused,
    speech_engine.UnusableSample,
)
"""The errors that blame the request. From a repeating engine, they cannot be the request's fault."""


class FirstSpeech:
    """The output of the first engine so far, and its sound that waits for the second engine. `words` come
    with the sample rate of their offsets.

    One task puts the sound in, and the second engine takes it. A `failure` ends the sound like silence, so
    that the second engine does not report it as its own. With `ends_only_whole`, the sound has no end after a
    failure: otherwise an engine that hears all first would upload and bill the rest.
    """

    has_manifest = False
    original: Original | None = None

    def __init__(self, *, ends_only_whole: bool = False) -> None:
        self._ends_only_whole = ends_only_whole
        self.seconds = 0.0
        self.units: float | None = None
        self.was_read_to_the_end = False
        self.failure: EngineError | None = None
        self.words: deque[tuple[Words, int]] = deque()
        # The number of each segment, and its start in seconds.
        self.moments: deque[tuple[int, float]] = deque()
        self.has_sound = asyncio.Event()
        self._pieces: deque[bytes] = deque()
        self._piece_moved = asyncio.Event()
        self._is_over = False
        self._cutter = PcmPieces(SOURCE_HZ)
        self._sound: Sound | None = None
        self._rate_hz = 0
        self._segment = -1

    @property
    def was_taken(self) -> bool:
        """Whether the second engine has taken all of the sound."""
        return self._is_over and not self._pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._is_over:
                self.was_read_to_the_end = True
                raise StopAsyncIteration
            await self._wait()
        self._piece_moved.set()
        return self._pieces.popleft()

    async def read(self, events: EngineStream) -> None:
        """Read the first engine's events, as fast as the sound is taken, and close the engine."""
        is_whole = False
        try:
            while await self._read_event(await events.next_event()):
                pass
            if self._sound is not None:
                await self._put_pieces(self._sound.flush().data)
            is_whole = True
        except EngineError as error:
            self.failure = error
        except SoundFailed as error:
            self.failure = EngineFailed(f"The speech could not be passed on: {error}")
        finally:
            try:
                await events.close()
            finally:
                # This is the last step: at the end of the sound, this task is done and has its result.
                self._is_over = is_whole or not self._ends_only_whole
                self._piece_moved.set()
                if self._sound is not None:
                    self._sound.close()

    async def _read_event(self, event: Event | None) -> bool:
        """Read the sound, the words or the units of an event. Return whether more events may follow."""
        match event:
            case Started(sample_rate_hz=rate_hz):
                if self._sound is not None:
                    raise EngineFailed("The engine started twice.")
                self._rate_hz = rate_hz
                self._sound = Sound(rate_hz, USUAL_FORMS["pcm"])
            case Audio():
                await self._put_pieces(self._pcm_of(event))
            case Words() if self._rate_hz:
                self.words.append((event, self._rate_hz))
            case speech_engine.ProviderCount(units=units):
                self.units = units
            case Finished(units=units):
                self.units = self.units if units is None else units
                return False
            case Encoded():
                raise EngineFailed(f"The engine gave {event.format}, which was not requested.")
            case _:
                raise EngineFailed("The engine ended without finishing, or gave words before it started.")
        return True

    def _pcm_of(self, event: Audio) -> bytes:
        if self._sound is None or event.segment < max(0, self._segment):
            raise EngineFailed("The engine gave audio before it started, or out of order.")
        if event.segment != self._segment:
            self._segment = event.segment
            self.moments.append((event.segment, self.seconds))
        self.seconds += len(event.pcm) / SAMPLE_BYTES / self._rate_hz
        return self._sound.feed(event.pcm).data

    async def _put_pieces(self, pcm: bytes) -> None:
        for piece in self._cutter.feed(pcm):
            while len(self._pieces) >= MOST_WAITING:
                await self._wait()
            self._pieces.append(piece)
            self._piece_moved.set()
            self.has_sound.set()

    async def _wait(self) -> None:
        """Wait until the other side has put or taken a piece. Both sides never wait at once."""
        self._piece_moved.clear()
        await self._piece_moved.wait()


Repeat = Callable[[FirstSpeech], EngineStream]


class PostStream:
    """An `EngineStream`: the sound of the second engine, with the word times and segments of the first.

    The second engine is opened at the first sound, so that it takes no slot before. A failure of the first
    engine is raised after the sound that was made before it. It is raised at once if the second engine
    `hears_all_first`: it has made no sound yet, so another candidate may speak. `options` are the fields of
    the request that the second engine gets.
    """

    def __init__(
        self,
        first: EngineStream,
        repeat: Repeat,
        *,
        hears_all_first: bool = False,
        options: Container[str] = (),
    ) -> None:
        self.spoken = FirstSpeech(ends_only_whole=hears_all_first)
        self._hears_all_first = hears_all_first
        self._options = options
        self._first = first
        self._repeat = repeat
        self._reading: asyncio.Task[None] | None = None
        self._second: EngineStream | None = None
        self._rate_hz = 0
        self._samples = 0
        self._has_sound = False
        self._segment = 0
        self._ready: deque[Event] = deque()
        self._is_over = False

    async def next_event(self) -> Event | None:
        if self._second is None and not self._is_over:
            await self._begin()
        while not self._ready:
            if self._is_over or self._second is None:
                return None
            try:
                self._queue_event(await self._next_of(self._second))
            except EngineError as error:
                self._is_over = True
                self._raise_first_failure()
                raise as_server_fault(error, self._options) from None
        return self._ready.popleft()

    async def close(self) -> None:
        self._is_over = True
        await run_to_end(self._close())

    async def _close(self) -> None:
        try:
            if self._second is not None:
                await self._second.close()
        finally:
            if self._reading is None:
                await self._first.close()
            else:
                self._reading.cancel()
                await asyncio.wait((self._reading,))
                if not self._reading.cancelled():
                    self._reading.exception()

    async def _begin(self) -> None:
        """Wait for the first sound, and open the second engine. Without sound, the stream ends."""
        self._reading = asyncio.create_task(self.spoken.read(self._first))
        has_sound = asyncio.create_task(self.spoken.has_sound.wait())
        try:
            await asyncio.wait((has_sound, self._reading), return_when=asyncio.FIRST_COMPLETED)
        finally:
            has_sound.cancel()
        if self.spoken.has_sound.is_set():
            self._second = self._repeat(self.spoken)
            return
        self._is_over = True
        self._raise_first_failure()
        self._ready += (Started(SOURCE_HZ), Finished())

    async def _next_of(self, second: EngineStream) -> Event | None:
        """Return the next event of the second engine. A failure of the first may come before."""
        if self._reading is None or not self._hears_all_first:
            return await second.next_event()
        coming = asyncio.create_task(second.next_event())
        try:
            await asyncio.wait((coming, self._reading), return_when=asyncio.FIRST_COMPLETED)
            self._raise_first_failure()
            return await coming
        finally:
            coming.cancel()
            await run_to_end(_wait_for_end(coming))

    def _raise_first_failure(self) -> None:
        """Raise the failure of the first engine, if it has failed."""
        if self.spoken.failure is not None:
            raise self.spoken.failure
        if self._reading is not None and self._reading.done():
            self._reading.result()

    def _queue_event(self, event: Event | None) -> None:
        match event:
            case Started(sample_rate_hz=rate_hz):
                self._rate_hz = rate_hz
                self._ready.append(event)
            case Audio(pcm=pcm) if self._rate_hz:
                self._queue_words()
                self._queue_audio(pcm)
            case Encoded():
                self._queue_words()
                self._has_sound = True
                self._ready.append(event)
            case speech_engine.ProviderCount():
                self._ready.append(event)
            case Finished():
                self._is_over = True
                self._raise_first_failure()
                if not self._has_sound:
                    raise EngineFailed("The engine of the post-step has made no sound of the speech.")
                if not self.spoken.was_taken:
                    raise EngineFailed("The engine of the post-step ended before the speech did.")
                self._queue_words()
                self._ready.append(event)
            case Words():
                pass
            case _:
                raise EngineFailed("The engine of the post-step gave no whole answer.")

    def _queue_words(self) -> None:
        while self.spoken.words and self._rate_hz:
            words, rate_hz = self.spoken.words.popleft()
            placed = [
                Word(each.sample_offset * self._rate_hz // rate_hz, each.spoken_start, each.spoken_end)
                for each in words.words
            ]
            self._ready.append(Words(tuple(placed), words.segment))

    def _queue_audio(self, pcm: bytes) -> None:
        """Queue the sound under the segment that was spoken at its time."""
        while pcm:
            moments, size = self.spoken.moments, len(pcm)
            while moments and (begins := round(moments[0][1] * self._rate_hz)) <= self._samples:
                self._segment = moments.popleft()[0]
            if moments:
                size = min(size, SAMPLE_BYTES * (begins - self._samples))
            self._ready.append(Audio(self._segment, pcm[:size]))
            self._has_sound = True
            self._samples += size // SAMPLE_BYTES
            pcm = pcm[size:]


async def _wait_for_end(task: asyncio.Task[Event | None]) -> None:
    await asyncio.wait((task,))
    if not task.cancelled():
        task.exception()  # so that asyncio does not log it as never retrieved


def as_server_fault(error: EngineError, options: Container[str] = ()) -> EngineError:
    """Return the error of the repeating engine in a form that does not blame the request, except for its
    `options`."""
    if isinstance(error, HostLost):
        return error
    if isinstance(error, speech_engine.UnsupportedOption) and error.detail in options:
        return error
    if isinstance(
        error, (speech_engine.EngineUnavailable, speech_engine.EngineBusy, speech_engine.EngineCannot)
    ):
        return RepeaterAway(error.message, detail=error.detail, retry_after_s=error.retry_after_s)
    if not isinstance(error, _REQUEST_FAULTS):
        return error
    return EngineFailed(f"The post-step failed: {error.message}", detail=error.detail)
