"""The beep engine itself: a beep for each letter of a text in any script, at the letter's own pitch."""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from anyascii import anyascii

from speech_engine import (
    ANY_LANGUAGE,
    Audio,
    Context,
    EngineFailed,
    EngineVoice,
    Event,
    Finished,
    Language,
    ModelInfo,
    Plugin,
    SpeechJob,
    Started,
    UnsupportedText,
    VoiceInfo,
    VoiceNotFound,
)
from voxgate_beep.plugin import BeepSettings

RATE_HZ = 24_000
MODEL = "letters"
VOICES = {"low": 220.0, "high": 660.0}
"""The pitch of the letter a; each letter after it is half a tone higher."""


class Beep:
    def __init__(self, settings: BeepSettings) -> None:
        self.slots = settings.slots
        self._samples = RATE_HZ * settings.letter_ms // 1000

    def models(self) -> tuple[ModelInfo, ...]:
        any_language = (Language(ANY_LANGUAGE),)
        return (ModelInfo(id=MODEL, languages=any_language, sample_rate_hz=RATE_HZ, licence="Apache-2.0"),)

    def voices(self) -> tuple[VoiceInfo, ...]:
        return tuple(VoiceInfo(id=voice, name=voice.capitalize()) for voice in VOICES)

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        if job.model != MODEL:
            raise EngineFailed(f"beep has one model, {MODEL!r}")
        if not isinstance(job.voice, EngineVoice) or job.voice.id not in VOICES:
            raise VoiceNotFound(f"beep has the voices {', '.join(VOICES)}")
        spelled = [anyascii(segment.spoken).lower() for segment in job.segments]
        if not all(any(map(str.isalnum, letters)) for letters in spelled):
            # Never quote the text: a message may end in a log.
            raise UnsupportedText("a sentence has no letter to beep")
        yield Started(RATE_HZ)
        left = math.inf if job.max_samples is None else job.max_samples
        for number, letters in enumerate(spelled):
            for letter in letters:
                if left <= 0:
                    break
                await asyncio.sleep(0)  # a turn for others, and the place to be cancelled at
                yield Audio(number, self._beep(letter, VOICES[job.voice.id]))
                left -= self._samples
        yield Finished()

    def _beep(self, letter: str, lowest_hz: float) -> bytes:
        if not letter.isalnum():
            return bytes(2 * self._samples)
        pitch_hz = lowest_hz * 2 ** ((int(letter, 36) - 10) / 12)
        step = 2 * math.pi * pitch_hz / RATE_HZ
        # A letter fades in and out, or it would click.
        swell = (math.sin(math.pi * at / self._samples) for at in range(self._samples))
        return array("h", (round(8000 * now * math.sin(step * at)) for at, now in enumerate(swell))).tobytes()


@asynccontextmanager
async def create(name: str, settings: BeepSettings, context: Context) -> AsyncIterator[Beep]:
    yield Beep(settings)


def voxgate_register() -> tuple[Plugin[BeepSettings], ...]:
    return (Plugin(kind="engine", name="beep", settings=BeepSettings, create=create),)
