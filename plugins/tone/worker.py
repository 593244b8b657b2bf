"""The tone engine itself. It speaks segments as frames of tones, with only the standard library.

It also clones, speaks from recordings, mixes and converts, so that tests can use all of this. Clones live as
long as this process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager

from plugins.tone.conversion import Conversion
from plugins.tone.plugin import ToneSettings
from plugins.tone.speech import Speech
from plugins.tone.timbre import Timbre, blend, measure, nominal_timbre
from plugins.tone.voice_format import FORMAT, read_voice
from plugins.tone.voices import SPECIAL, Behaviour
from speech_engine.cloning import CloneRequest
from speech_engine.errors import EngineFailed, UnusableSample, VoiceNotFound
from speech_engine.events import Event
from speech_engine.hearing import HEARING_HZ, HearJob
from speech_engine.models import ANY_LANGUAGE, Language, ModelInfo, VoiceInfo
from speech_engine.plugin import Context, Plugin
from speech_engine.samples import SampleReader
from speech_engine.values import EngineVoice, Mix, Samples, SpeechJob, Trained, find_samples

MODEL = "standard"
EARS = "ears"
SAMPLE_HZ = 24_000

_EARS_INFO = ModelInfo(
    id=EARS,
    is_speech=False,
    is_trained=False,
    speaks=False,
    hears=True,
    times_words=True,
    translates=True,
    scores_text=True,
    hears_well=("en",),
    languages=(Language(ANY_LANGUAGE),),
    sample_rate_hz=HEARING_HZ,
    licence="Apache-2.0",
)


class ToneEngine:
    def __init__(self, name: str, settings: ToneSettings, context: Context) -> None:
        self._name = name
        self._settings = settings
        self._tick: Callable[[], None] = context.tick
        self._samples: SampleReader = context.samples
        self._speaking = 0
        self._clones: set[str] = set()
        self._clones_made = 0
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
                is_speech=False,
                is_trained=False,
                languages=(Language(ANY_LANGUAGE),),
                sample_rate_hz=self._settings.sample_rate_hz,
                speed=(0.25, 4.0),
                times_words=True,
                clones=self._settings.clones,
                converts=True,
                trained_format=FORMAT,
                trains=True,
                speaks_samples=self._settings.speaks_samples,
                sample_s=(1.0, 30.0),
                sample_hz=SAMPLE_HZ,
                needs_sample_text=self._settings.needs_sample_text,
                mixes=self._settings.mixes,
                licence="Apache-2.0",
            ),
            *((_EARS_INFO,) if self._settings.hears else ()),
        )

    def voices(self) -> tuple[VoiceInfo, ...]:
        return tuple(
            VoiceInfo(id=voice, name=voice.capitalize())
            for voice in self._behaviours
            if voice not in self._clones
        )

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        behaviour = self._behaviour(job)
        self._speaking += 1
        try:
            timbre = await self._timbre(job)
            speech = Speech(job, self._settings.sample_rate_hz, behaviour, self._tick, timbre)
            async with aclosing(speech.events()) as events:
                async for event in events:
                    yield event
        finally:
            self._speaking -= 1

    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        behaviour = self._behaviour(job)
        hum_hz = self._trained(job, job.voice).pitch_hz if isinstance(job.voice, Trained) else 0.0
        conversion = Conversion(job, self._settings.sample_rate_hz, behaviour, self._tick, hum_hz)
        async with aclosing(conversion.events(pcm)) as events:
            async for event in events:
                yield event

    async def transcribe(self, job: HearJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        if job.model != EARS or not self._settings.hears:
            raise EngineFailed(f"tone hears with {EARS!r} alone, if its setting `hears` is true")
        # It needs numpy, and the engine that speaks does not.
        from plugins.tone.hearing import Hearing

        behaviour = SPECIAL.get(job.prompt) or self._settings.behaviour()
        async with aclosing(Hearing(job, behaviour, self._tick).events(pcm)) as events:
            async for event in events:
                yield event

    async def clone(self, request: CloneRequest) -> str:
        if not request.samples or not all(sample.data.startswith(b"RIFF") for sample in request.samples):
            raise UnusableSample("tone makes a voice of one WAV file or more")
        self._clones_made += 1
        voice = f"clone-{self._clones_made}"
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
        if isinstance(job.voice, EngineVoice):
            return self._behaviour_of(job.voice)
        if isinstance(job.voice, Mix):
            for part, weight in job.voice.parts:
                if weight <= 0:
                    raise VoiceNotFound("each voice of a mix has a weight above 0")
                if isinstance(part, EngineVoice):
                    self._behaviour_of(part)
        if isinstance(job.voice, Trained):
            self._trained(job, job.voice)
            return self._settings.behaviour()
        if not find_samples(job.voice) and not (isinstance(job.voice, Mix) and job.voice.parts):
            raise VoiceNotFound("a voice has one recording or more, a mix one voice or more")
        return self._settings.behaviour()

    def _behaviour_of(self, voice: EngineVoice) -> Behaviour:
        if (behaviour := self._behaviours.get(voice.id)) is None:
            raise VoiceNotFound(f"tone has no voice {voice.id!r}")
        return behaviour

    async def _timbre(self, job: SpeechJob) -> Timbre | None:
        """Return the timbre for the signature, or None for the engine's own voices."""
        voice = job.voice
        if isinstance(voice, EngineVoice):
            return None
        if isinstance(voice, Trained):
            return self._trained(job, voice)
        if isinstance(voice, Samples):
            return await self._measured(job, voice)
        parts = [
            (
                nominal_timbre(part.id) if isinstance(part, EngineVoice) else await self._measured(job, part),
                weight,
            )
            for part, weight in voice.parts
        ]
        total = sum(weight for _, weight in parts)
        return blend((timbre, weight / total) for timbre, weight in parts)

    def _trained(self, job: SpeechJob, voice: Trained) -> Timbre:
        try:
            return read_voice(self._samples.model(job, voice)).timbre
        except ValueError:
            raise VoiceNotFound("the file of this voice is not one of tone's") from None

    async def _measured(self, job: SpeechJob, voice: Samples) -> Timbre:
        return await asyncio.to_thread(self._samples.derived, job, voice.samples, _measure)


def _measure(recordings: Sequence[bytes]) -> Timbre:
    return measure(recordings, SAMPLE_HZ)


@asynccontextmanager
async def create(name: str, settings: ToneSettings, context: Context) -> AsyncIterator[ToneEngine]:
    yield ToneEngine(name, settings, context)


def voxgate_register() -> tuple[Plugin[ToneSettings], ...]:
    return (Plugin(kind="engine", name="tone", settings=ToneSettings, create=create),)
