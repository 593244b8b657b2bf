"""The tone engine itself. It speaks segments as frames of tones, with only the standard library.

It clones and converts too, so that this can be tried everywhere. Clones live as long as this process.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

from plugins.tone.conversion import Conversion
from plugins.tone.plugin import ToneSettings
from plugins.tone.speech import Speech
from plugins.tone.voices import SPECIAL, Behaviour
from speech_engine.cloning import CloneRequest
from speech_engine.errors import EngineFailed, UnusableSample, VoiceNotFound
from speech_engine.events import Event
from speech_engine.models import ANY_LANGUAGE, Language, ModelInfo, VoiceInfo
from speech_engine.plugin import Context, Plugin
from speech_engine.values import EngineVoice, SpeechJob

MODEL = "standard"


class ToneEngine:
    def __init__(self, name: str, settings: ToneSettings, tick: Callable[[], None]) -> None:
        self._name = name
        self._settings = settings
        self._tick = tick
        self._speaking = 0
        self._clones: set[str] = set()
        self._cloned = 0
        self._behaviours = dict.fromkeys(settings.voices, settings.behaviour()) | SPECIAL

    def __repr__(self) -> str:
        return f"<ToneEngine {self._name}, {self._settings.sample_rate_hz} Hz, {self._speaking} speaking>"

    @property
    def slots(self) -> int:
        return self._settings.slots

    def models(self) -> tuple[ModelInfo, ...]:
        return (
            ModelInfo(
                id=MODEL,
                languages=(Language(ANY_LANGUAGE),),
                sample_rate_hz=self._settings.sample_rate_hz,
                speed=(0.25, 4.0),
                times_words=True,
                clones=True,
                converts=True,
                licence="Apache-2.0",
            ),
        )

    def voices(self) -> tuple[VoiceInfo, ...]:
        return tuple(
            VoiceInfo(id=voice, name=voice.capitalize())
            for voice in self._behaviours
            if voice not in self._clones
        )

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        speech = Speech(job, self._settings.sample_rate_hz, self._behaviour(job), self._tick)
        self._speaking += 1
        try:
            async with aclosing(speech.events()) as events:
                async for event in events:
                    yield event
        finally:
            self._speaking -= 1

    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        conversion = Conversion(job, self._settings.sample_rate_hz, self._behaviour(job))
        async with aclosing(conversion.events(pcm)) as events:
            async for event in events:
                yield event

    async def clone(self, request: CloneRequest) -> str:
        if not request.samples or not all(sample.data.startswith(b"RIFF") for sample in request.samples):
            raise UnusableSample("tone makes a voice of one WAV file or more")
        self._cloned += 1
        voice = f"clone-{self._cloned}"
        self._clones.add(voice)
        self._behaviours[voice] = self._settings.behaviour()
        return voice

    async def delete_voice(self, id: str) -> None:
        if id not in self._clones:
            raise VoiceNotFound("tone deletes its clones only, and has no such clone")
        self._clones.remove(id)
        del self._behaviours[id]

    def _behaviour(self, job: SpeechJob) -> Behaviour:
        if job.model != MODEL:
            raise EngineFailed(f"tone has one model, {MODEL!r}")
        if not isinstance(job.voice, EngineVoice):
            raise VoiceNotFound("tone has voices of its own only: no samples, no mixes")
        if (behaviour := self._behaviours.get(job.voice.id)) is None:
            raise VoiceNotFound(f"tone has no voice {job.voice.id!r}")
        return behaviour


@asynccontextmanager
async def create(name: str, settings: ToneSettings, context: Context) -> AsyncIterator[ToneEngine]:
    yield ToneEngine(name, settings, context.tick)


def voxgate_register() -> tuple[Plugin[ToneSettings], ...]:
    return (Plugin(kind="engine", name="tone", settings=ToneSettings, create=create),)
