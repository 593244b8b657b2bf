"""An engine that has its answer ready: one MP3 clip, passed through as it is. What remains is the server."""

from __future__ import annotations

import math
from array import array
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from proxy.audio.formats import USUAL_FORMS
from proxy.audio.sound import Sound
from speech_engine import (
    ANY_LANGUAGE,
    Context,
    Encoded,
    Event,
    Finished,
    Language,
    ModelInfo,
    Plugin,
    SpeechJob,
    Started,
)

CLIP_SECONDS = 6
RATE_HZ = 24_000
CHUNK_BYTES = 16 * 1024


class ClipSettings(msgspec.Struct, frozen=True):
    """It has none."""


def clip() -> bytes:
    """48 KB of MP3: six seconds of a tone at 64 kb/s."""
    samples = (round(8000 * math.sin(index / 8)) for index in range(RATE_HZ * CLIP_SECONDS))
    sound = Sound(RATE_HZ, USUAL_FORMS["mp3"])
    try:
        return sound.feed(array("h", samples).tobytes()).data + sound.flush().data
    finally:
        sound.close()


class ClipEngine:
    slots = 1024

    def __init__(self) -> None:
        data = clip()
        self._chunks = [data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)]

    def models(self) -> tuple[ModelInfo, ...]:
        any_language = (Language(ANY_LANGUAGE),)
        return (ModelInfo(id="clip", languages=any_language, sample_rate_hz=RATE_HZ, formats=("mp3",)),)

    async def speak(self, _job: SpeechJob) -> AsyncGenerator[Event, None]:
        yield Started(RATE_HZ)
        for chunk in self._chunks:
            yield Encoded("mp3", chunk)
        yield Finished()


@asynccontextmanager
async def _create(_name: str, _settings: ClipSettings, _context: Context) -> AsyncIterator[ClipEngine]:
    yield ClipEngine()


PLUGIN = Plugin(kind="engine", name="clip", settings=ClipSettings, create=_create)
