"""Bad engines that do or declare one thing wrong each, by name; `beepers` has those with wrong events."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from msgspec.structs import replace

from speech_engine import (
    Audio,
    CloneRequest,
    EngineFailed,
    EngineVoice,
    Event,
    Finished,
    Mix,
    ModelInfo,
    SpeechJob,
    Started,
    UnusableSample,
    VoiceInfo,
    VoiceNotFound,
)
from speech_engine.pcm import PcmPieces
from speech_engine.testing import EngineContract
from speech_engine.values import find_samples
from tests.speech_engine.beepers import CHUNK, MODEL, RATE_HZ, Beeper


class Endless(Beeper):
    async def events(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        async for event in super().events(replace(job, max_samples=None)):
            yield event


class AnyVoice(Beeper):
    def check(self, job: SpeechJob) -> None:
        super().check(replace(job, voice=EngineVoice("beep")))


class UnknownVoiceIsAFailure(Beeper):
    def check(self, job: SpeechJob) -> None:
        if job.voice != EngineVoice("beep"):
            raise EngineFailed("no such voice")
        super().check(job)


class UnknownVoiceIsAKey(Beeper):
    def check(self, job: SpeechJob) -> None:
        assert job.voice is not None
        {EngineVoice("beep"): "beep"}[job.voice]  # type: ignore[index]  # as an author would write it
        super().check(job)


class SilentOnSigns(Beeper):
    async def events(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        async for event in super().events(job):
            if job.segments[0].spoken.isascii() or not isinstance(event, Audio):
                yield event


class AnyModel(Beeper):
    def check(self, job: SpeechJob) -> None:
        super().check(replace(job, model=MODEL.id))


class QuotesTheText(Beeper):
    def check(self, job: SpeechJob) -> None:
        if job.voice != EngineVoice("beep"):
            raise VoiceNotFound(f"cannot say {job.segments[0].spoken}")
        super().check(job)


class KeepsItsSlot(Beeper):
    """Gives its slot back only where an answer runs to its end."""

    def __init__(self) -> None:
        self.free = asyncio.Semaphore(self.slots)

    async def events(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        self.check(job)
        await self.free.acquire()
        async for event in super().events(job):
            yield event
        self.free.release()


class SwallowsCancellation(Beeper):
    async def events(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        self.check(job)
        yield Started(RATE_HZ)
        for number in range(len(job.segments)):
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                pass
            yield Audio(number, CHUNK)
        yield Finished()


class OneAtATime(Beeper):
    """Two answers at once share what belongs to one."""

    def __init__(self) -> None:
        self.segment = 0

    async def events(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        self.segment = 0
        async for event in super().events(job):
            if isinstance(event, Audio):
                self.segment = max(self.segment, event.segment)
                yield Audio(self.segment, event.pcm)
            else:
                yield event


class PlainIterator(Beeper):
    def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        # What an untyped plugin might do.
        return _Uncloseable(self.events(job))  # type: ignore[return-value]


class _Uncloseable:
    def __init__(self, events: AsyncGenerator[Event]) -> None:
        self._events = events

    def __aiter__(self) -> "_Uncloseable":
        return self

    async def __anext__(self) -> Event:
        return await anext(self._events)


class NoSlots(Beeper):
    slots = 0


class TwiceTheSameVoice(Beeper):
    beeps = Beeper.beeps * 2


class NamelessVoice(Beeper):
    beeps = (VoiceInfo(id="beep", name=""),)


class OnlyFast(Beeper):
    model = replace(MODEL, speed=(1.5, 2.0))


class SpeaksNoLanguage(Beeper):
    model = replace(MODEL, languages=())


class HundredHertz(Beeper):
    model = replace(MODEL, sample_rate_hz=100)


class NoModels(Beeper):
    def models(self) -> tuple[ModelInfo, ...]:
        return ()


class Cloning(Beeper):
    """A good one that clones and converts; the bad ones below do one part of it wrong."""

    model = replace(MODEL, clones=True, converts=True)

    def __init__(self) -> None:
        self.made: set[str] = set()

    async def clone(self, request: CloneRequest) -> str:
        self.made.add("clone")
        return "clone"

    async def delete_voice(self, id: str) -> None:
        if id not in self.made:
            raise VoiceNotFound("no such voice")
        self.made.remove(id)

    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        pieces = PcmPieces(RATE_HZ)
        has_sound = False
        yield Started(RATE_HZ)
        async for data in pcm:
            for piece in pieces.feed(data):
                has_sound = True
                yield Audio(0, piece)
        if not has_sound:
            raise UnusableSample("it is empty")
        yield Finished()

    def check(self, job: SpeechJob) -> None:
        is_made = isinstance(job.voice, EngineVoice) and job.voice.id in self.made
        super().check(replace(job, voice=EngineVoice("beep")) if is_made else job)


class Recorded(Beeper):
    """Speaks from recordings, and mixes."""

    model = replace(MODEL, speaks_samples=True, mixes=True)

    def read(self, job: SpeechJob) -> None:
        for sample in find_samples(job.voice):
            EngineContract.recordings.pcm(job, sample)

    def check(self, job: SpeechJob) -> None:
        self.read(job)
        is_made = not isinstance(job.voice, EngineVoice)
        super().check(replace(job, voice=EngineVoice("beep")) if is_made else job)


class KeepsRecordings(Recorded):
    def read(self, job: SpeechJob) -> None:
        """Read nothing: as if it knew the voice for ever."""


class FailsWithoutAMember(Recorded):
    def read(self, job: SpeechJob) -> None:
        try:
            super().read(job)
        except VoiceNotFound as error:
            raise EngineFailed("no mix") if isinstance(job.voice, Mix) else error from None


class CloneWithoutName(Cloning):
    async def clone(self, request: CloneRequest) -> str:
        await super().clone(request)
        return ""


class DeletesAnything(Cloning):
    async def delete_voice(self, id: str) -> None:
        self.made.discard(id)


class ConvertsSilently(Cloning):
    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        yield Started(RATE_HZ)
        yield Finished()


class ConvertsInBulk(Cloning):
    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        yield Started(RATE_HZ)
        yield Audio(0, bytes(2 * RATE_HZ))
        yield Finished()


class ConvertsNothing(Cloning):
    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        yield Started(RATE_HZ)
        yield Audio(0, CHUNK)
        yield Finished()
