"""An engine that plays what a test wrote down: events, errors to raise, and things to wait for."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from msgspec.structs import replace

from speech_engine import (
    ANY_LANGUAGE,
    Audio,
    Event,
    Finished,
    Language,
    ModelInfo,
    SpeechJob,
    Started,
    VoiceInfo,
)
from tests.sound import tone

RATE_HZ = 24_000
Step = Event | Exception | Callable[[], Awaitable[object]]


class Halt:
    """A step that stands still until the test lets it go on: each time, or only the time `at`."""

    def __init__(self, at: int = 0) -> None:
        self.is_there = asyncio.Event()
        self.goes_on = asyncio.Event()
        self._at = at
        self._times = 0

    async def __call__(self) -> None:
        self._times += 1
        if self._at in (0, self._times):
            self.is_there.set()
            await self.goes_on.wait()


class Scripted:
    """Its one model is `m`, its one voice `v`; `jobs` are those it was given, `open` those under way."""

    slots = 2

    def __init__(self, *script: Step, **model: object) -> None:
        self.jobs: list[SpeechJob] = []
        self.open = 0
        self._script = script
        # Tones: no mark is due, so what was written down arrives as it is.
        plain = ModelInfo(
            id="m", languages=(Language(ANY_LANGUAGE),), sample_rate_hz=RATE_HZ, is_speech=False
        )
        self._model = replace(plain, **model)

    def models(self) -> tuple[ModelInfo, ...]:
        return (self._model,)

    def voices(self) -> tuple[VoiceInfo, ...]:
        return (VoiceInfo(id="v", name="V"),)

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        self.jobs.append(job)
        self.open += 1
        try:
            for step in self._script:
                if isinstance(step, Exception):
                    raise step
                if callable(step):
                    await step()
                else:
                    yield step
        finally:
            self.open -= 1


def sound(seconds: float, rate_hz: int = RATE_HZ, segment: int = 0) -> list[Event]:
    """A sine of 440 Hz in chunks of 100 ms."""
    pcm, size = tone(440, seconds, rate_hz), rate_hz // 10 * 2
    return [Audio(segment, pcm[at : at + size]) for at in range(0, len(pcm), size)]


def spoken(seconds: float, rate_hz: int = RATE_HZ) -> list[Event]:
    return [Started(rate_hz), *sound(seconds, rate_hz), Finished()]
