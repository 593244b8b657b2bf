"""A good engine of forty lines, and bad ones whose events break one rule each, by name."""

import asyncio
from collections.abc import AsyncGenerator
from typing import ClassVar

from speech_engine import (
    ANY_LANGUAGE,
    Audio,
    Encoded,
    EngineFailed,
    EngineVoice,
    Event,
    Finished,
    Language,
    ModelInfo,
    SpeechJob,
    Started,
    VoiceInfo,
    VoiceNotFound,
    Word,
    Words,
)

RATE_HZ = 8_000
CHUNK = b"\x01\x00" * (RATE_HZ // 10)
MODEL = ModelInfo(
    id="standard", languages=(Language(ANY_LANGUAGE),), sample_rate_hz=RATE_HZ, times_words=True
)


class Beeper:
    """The good one: the longer a segment, the more chunks of 100 ms."""

    slots = 2
    model = MODEL
    beeps: ClassVar[tuple[VoiceInfo, ...]] = (VoiceInfo(id="beep", name="Beep"),)

    def models(self) -> tuple[ModelInfo, ...]:
        return (self.model,)

    def voices(self) -> tuple[VoiceInfo, ...]:
        return self.beeps

    def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        return self.events(job)

    async def events(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        self.check(job)
        yield Started(RATE_HZ)
        spoken = 0
        for number, segment in enumerate(job.segments):
            yield Words((Word(spoken, 0, len(segment.spoken)),), number)
            for _ in range(1 + len(segment.spoken) // 8):
                if job.max_samples is not None and spoken >= job.max_samples:
                    break
                await asyncio.sleep(0)
                spoken += len(CHUNK) // 2
                yield Audio(number, CHUNK)
        yield Finished()

    def check(self, job: SpeechJob) -> None:
        if job.model != MODEL.id:
            raise EngineFailed("no such model")
        if job.voice != EngineVoice("beep"):
            raise VoiceNotFound("no such voice")


class Edited(Beeper):
    """Its events go through `edit`: None leaves one out."""

    def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        return self.edited(job)

    async def edited(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        async for event in self.events(job):
            if (changed := self.edit(event)) is not None:
                yield changed

    def edit(self, event: Event) -> Event | None:
        raise NotImplementedError


class WithoutStarted(Edited):
    def edit(self, event: Event) -> Event | None:
        return None if isinstance(event, Started) else event


class WithoutFinished(Edited):
    def edit(self, event: Event) -> Event | None:
        return None if isinstance(event, Finished) else event


class FinishedEarly(Edited):
    def edit(self, event: Event) -> Event | None:
        return Finished() if isinstance(event, Words) else event


class StartedAtAnotherRate(Edited):
    def edit(self, event: Event) -> Event | None:
        return Started(2 * RATE_HZ) if isinstance(event, Started) else event


class OversizeChunk(Edited):
    def edit(self, event: Event) -> Event | None:
        return Audio(event.segment, CHUNK + b"\x01\x00") if isinstance(event, Audio) else event


class OddChunk(Edited):
    def edit(self, event: Event) -> Event | None:
        return Audio(event.segment, CHUNK[1:]) if isinstance(event, Audio) else event


class EmptyChunk(Edited):
    def edit(self, event: Event) -> Event | None:
        return Audio(event.segment, b"") if isinstance(event, Audio) else event


class SilentSegment(Edited):
    def edit(self, event: Event) -> Event | None:
        silent = isinstance(event, Audio) and event.segment == 1
        return Audio(1, bytes(len(CHUNK))) if silent else event


class SkippedSegment(Edited):
    def edit(self, event: Event) -> Event | None:
        return None if isinstance(event, Audio) and event.segment == 1 else event


class BackwardSegments(Edited):
    def edit(self, event: Event) -> Event | None:
        return Audio(2 - event.segment, CHUNK) if isinstance(event, Audio) else event


class UnknownSegment(Edited):
    def edit(self, event: Event) -> Event | None:
        return Audio(event.segment + 1, CHUNK) if isinstance(event, Audio) else event


class UnaskedEncoding(Edited):
    def edit(self, event: Event) -> Event | None:
        return Encoded("mp3", b"\xff", 1) if isinstance(event, Audio) else event


class WordsNever(Edited):
    def edit(self, event: Event) -> Event | None:
        return None if isinstance(event, Words) else event


class WordsBeyondTheText(Edited):
    def edit(self, event: Event) -> Event | None:
        return Words((Word(0, 0, 999),), event.segment) if isinstance(event, Words) else event


class WordsBeyondTheAudio(Edited):
    def edit(self, event: Event) -> Event | None:
        return Words((Word(10**9, 0, 1),), event.segment) if isinstance(event, Words) else event


class WordsBackward(Edited):
    def edit(self, event: Event) -> Event | None:
        return Words((Word(9, 2, 3), Word(8, 4, 5)), event.segment) if isinstance(event, Words) else event
