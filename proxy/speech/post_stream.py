"""What one engine speaks, repeated by another while it still speaks: both are one stream of an engine.

The sound that waits between them is bounded, so a listener who is slow slows down both. It can be read only
once: what the second engine has taken is gone, and if that fails, the next candidate speaks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from proxy.audio.formats import SAMPLE_BYTES, USUAL_FORMS, SoundFailed
from proxy.audio.frames_mp3 import Original
from proxy.audio.sound import Sound
from proxy.errors import HostLost
from proxy.speech.speech_request import SOURCE_HZ
from speech_engine import (
    Audio,
    ContentRefused,
    Encoded,
    EngineBusy,
    EngineCannot,
    EngineError,
    EngineFailed,
    EngineUnavailable,
    Event,
    Finished,
    ProviderCount,
    Started,
    UnsupportedInstructions,
    UnsupportedLanguage,
    UnsupportedOption,
    UnsupportedText,
    UnusableSample,
    VoiceNotFound,
    Word,
    Words,
)
from speech_engine.host.engine_stream import EngineStream, run_to_end
from speech_engine.pcm import PcmPieces

MOST_WAITING = 10
"""The most pieces of 100 ms that wait between the engines."""

_OF_REQUESTS = (
    *(UnsupportedLanguage, UnsupportedText, UnsupportedInstructions, UnsupportedOption),
    *(VoiceNotFound, ContentRefused, UnusableSample),
)
"""The errors of an engine by which a request is at fault. Who repeats a speech got nothing of the request."""


class RepeaterAway(EngineUnavailable):
    """Who repeats is not there, has no room, or never can. All candidates have the same, so what another one
    speaks would be bought in vain."""


class FirstSpeech:
    """What the first engine has made so far, as the output of its attempt, and its sound that waits.

    One task puts the sound in, and the second engine takes it. A `failure` ends it as silence does: who
    repeats must not take the failure of another for its own. If it `ends_only_whole`, nothing ends what has
    failed: who hears all first would upload the rest, and be paid for it.
    """

    has_manifest = False
    original: Original | None = None

    def __init__(self, *, ends_only_whole: bool = False) -> None:
        self._ends_only_whole = ends_only_whole
        self.seconds = 0.0
        self.units: float | None = None
        self.was_heard_out = False
        self.failure: EngineError | None = None
        self.words: deque[tuple[Words, int]] = deque()
        # When each segment begins, in seconds.
        self.moments: deque[tuple[int, float]] = deque()
        self.has_sound = asyncio.Event()
        self._pieces: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self._is_over = False
        self._cut = PcmPieces(SOURCE_HZ)
        self._sound: Sound | None = None
        self._rate_hz = 0
        self._segment = -1

    @property
    def was_taken(self) -> bool:
        """Whether all of the sound was taken, and no more will come."""
        return self._is_over and not self._pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._is_over:
                self.was_heard_out = True
                raise StopAsyncIteration
            await self._wait()
        self._changed.set()
        return self._pieces.popleft()

    async def read(self, events: EngineStream) -> None:
        """Read all that the first engine makes, as fast as it is taken. The engine is closed at the end."""
        is_whole = False
        try:
            while await self._take(await events.next_event()):
                pass
            if self._sound is not None:
                await self._put(self._sound.flush().data)
            is_whole = True
        except EngineError as error:
            self.failure = error
        except SoundFailed as error:
            self.failure = EngineFailed(f"The speech could not be passed on: {error}")
        finally:
            try:
                await events.close()
            finally:
                # Last of all: who hears the end of the sound finds this task done, and what it raises.
                self._is_over = is_whole or not self._ends_only_whole
                self._changed.set()
                if self._sound is not None:
                    self._sound.close()

    async def _take(self, event: Event | None) -> bool:
        """Take an event. Return whether there may be more of them."""
        match event:
            case Started(sample_rate_hz=rate_hz):
                self._rate_hz = rate_hz
                self._sound = Sound(rate_hz, USUAL_FORMS["pcm"])
            case Audio():
                await self._put(self._heard(event))
            case Words() if self._rate_hz:
                self.words.append((event, self._rate_hz))
            case ProviderCount(units=units):
                self.units = units
            case Finished(units=units):
                self.units = self.units if units is None else units
                return False
            case Encoded():
                raise EngineFailed(f"The engine gave {event.format}, which was not requested.")
            case _:
                raise EngineFailed("The engine ended without finishing, or gave words before it started.")
        return True

    def _heard(self, event: Audio) -> bytes:
        if self._sound is None or event.segment < max(0, self._segment):
            raise EngineFailed("The engine gave audio before it started, or out of order.")
        if event.segment != self._segment:
            self._segment = event.segment
            self.moments.append((event.segment, self.seconds))
        self.seconds += len(event.pcm) / SAMPLE_BYTES / self._rate_hz
        return self._sound.feed(event.pcm).data

    async def _put(self, pcm: bytes) -> None:
        for piece in self._cut.feed(pcm):
            while len(self._pieces) >= MOST_WAITING:
                await self._wait()
            self._pieces.append(piece)
            self._changed.set()
            self.has_sound.set()

    async def _wait(self) -> None:
        """Wait until the other one has put or taken a piece: never do both of them wait."""
        self._changed.clear()
        await self._changed.wait()


Repeat = Callable[[FirstSpeech], EngineStream]
"""Opens the second engine with the PCM of the first."""


class PostStream:
    """An `EngineStream`: the sound of the second engine, with the times and segments of the first.

    The second begins when the first has made a sound: until then it would take a slot from others. A
    failure of the first comes after what the second makes of the sound before it; at once if the second
    `hears_all_first`, as it has made nothing then, and another candidate may speak.
    """

    def __init__(self, first: EngineStream, repeat: Repeat, *, hears_all_first: bool = False) -> None:
        self.spoken = FirstSpeech(ends_only_whole=hears_all_first)
        self._hears_all_first = hears_all_first
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
                self._take(await self._next_of(self._second))
            except EngineError as error:
                self._is_over = True
                self._check_first()
                raise as_own(error) from None
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
        """Wait for the first sound, and let it be repeated. Without any, there is nothing to repeat."""
        self._reading = asyncio.create_task(self.spoken.read(self._first))
        heard = asyncio.create_task(self.spoken.has_sound.wait())
        try:
            await asyncio.wait((heard, self._reading), return_when=asyncio.FIRST_COMPLETED)
        finally:
            heard.cancel()
        if self.spoken.has_sound.is_set():
            self._second = self._repeat(self.spoken)
            return
        self._is_over = True
        self._check_first()
        self._ready += (Started(SOURCE_HZ), Finished())

    async def _next_of(self, second: EngineStream) -> Event | None:
        """Return the next event of the second. Raise what ends the first before one that hears all of it."""
        if self._reading is None or not self._hears_all_first:
            return await second.next_event()
        coming = asyncio.create_task(second.next_event())
        try:
            await asyncio.wait((coming, self._reading), return_when=asyncio.FIRST_COMPLETED)
            self._check_first()
            return await coming
        finally:
            coming.cancel()
            await run_to_end(_ended(coming))

    def _check_first(self) -> None:
        """Raise what has ended the first engine too early."""
        if self.spoken.failure is not None:
            raise self.spoken.failure
        if self._reading is not None and self._reading.done():
            self._reading.result()

    def _take(self, event: Event | None) -> None:
        match event:
            case Started(sample_rate_hz=rate_hz):
                self._rate_hz = rate_hz
                self._ready.append(event)
            case Audio(pcm=pcm) if self._rate_hz:
                self._tell_words()
                self._tell_audio(pcm)
            case Encoded():
                self._tell_words()
                self._has_sound = True
                self._ready.append(event)
            case ProviderCount():
                self._ready.append(event)
            case Finished():
                self._is_over = True
                self._check_first()
                if not self._has_sound:
                    raise EngineFailed("The engine of the post-step has made no sound of the speech.")
                if not self.spoken.was_taken:
                    raise EngineFailed("The engine of the post-step ended before the speech did.")
                self._tell_words()
                self._ready.append(event)
            case Words():
                pass
            case _:
                raise EngineFailed("The engine of the post-step gave no whole answer.")

    def _tell_words(self) -> None:
        """Tell the words so far, with their times in samples of the second engine."""
        while self.spoken.words and self._rate_hz:
            told, rate_hz = self.spoken.words.popleft()
            words = [
                Word(each.sample_offset * self._rate_hz // rate_hz, each.spoken_start, each.spoken_end)
                for each in told.words
            ]
            self._ready.append(Words(tuple(words), told.segment))

    def _tell_audio(self, pcm: bytes) -> None:
        """Give the sound the number of the segment that was spoken at its time."""
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


async def _ended(task: asyncio.Task[Event | None]) -> None:
    """Wait for the end of a task. Its error counts no more."""
    await asyncio.wait((task,))
    if not task.cancelled():
        task.exception()


def as_own(error: EngineError) -> EngineError:
    """Return the error of the repeating engine, for which no request is to blame."""
    if isinstance(error, HostLost):
        return error
    if isinstance(error, (EngineUnavailable, EngineBusy, EngineCannot)):
        return RepeaterAway(error.message, detail=error.detail, retry_after_s=error.retry_after_s)
    if not isinstance(error, _OF_REQUESTS):
        return error
    return EngineFailed(f"The post-step failed: {error.message}", detail=error.detail)
