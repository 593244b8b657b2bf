"""A beep in twenty lines below its imports: an engine that speaks any text, in the server's own process."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import msgspec

import speech_engine as se

BEEP = (b"\x00\x20" * 10 + b"\x00\xe0" * 10) * 120  # 100 ms of 1200 Hz: 2400 samples of 16 bits


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing to set yet."""


class Beep:
    slots = 4

    def models(self) -> tuple[se.ModelInfo, ...]:
        languages = (se.Language(se.ANY_LANGUAGE),)
        return (se.ModelInfo(id="standard", languages=languages, sample_rate_hz=24_000),)

    def voices(self) -> tuple[se.VoiceInfo, ...]:
        return (se.VoiceInfo(id="beep", name="Beep"),)

    async def speak(self, job: se.SpeechJob) -> AsyncGenerator[se.Event, None]:
        yield se.Started(24_000)
        for number, _segment in enumerate(job.segments):
            for _ in range(5):
                yield se.Audio(number, BEEP)
        yield se.Finished()


@asynccontextmanager
async def create(name: str, settings: Settings, context: se.Context) -> AsyncIterator[Beep]:
    yield Beep()


def voxgate_register() -> tuple[se.Plugin[Settings], ...]:
    return (se.Plugin(kind="engine", name="first-beep", settings=Settings, create=create),)
