"""An ElevenLabs account as an engine: its models, its voices, its speech and its ears."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from plugins.elevenlabs import listings, phonemes
from plugins.elevenlabs.api import Api, voice_id
from plugins.elevenlabs.cloning import Cloner
from plugins.elevenlabs.conversion import Converter
from plugins.elevenlabs.plugin import ElevenLabsSettings
from plugins.elevenlabs.speech import Speech
from plugins.elevenlabs.transcription import Transcription
from speech_engine.cloud import joined
from speech_engine.errors import EngineExhausted
from speech_engine.events import Event
from speech_engine.hearing import HearJob
from speech_engine.models import ModelInfo, VoiceInfo
from speech_engine.plugin import Context
from speech_engine.values import SpeechJob

_SLOTS = 2
"""The requests at once that the smallest plan allows for the most expensive models.

An operator with a larger plan sets `concurrency` in the engine's section.
"""


class ElevenLabsEngine(Cloner):
    """An engine of one account. It has no model and no voice until the first `refresh` succeeds."""

    slots = _SLOTS

    def __init__(self, name: str, settings: ElevenLabsSettings, api: Api) -> None:
        self._name = name
        self._settings = settings
        super().__init__(api)
        self._converter = Converter(api, settings)
        self._models: tuple[ModelInfo, ...] = ()
        self._voices: tuple[VoiceInfo, ...] = ()
        self.unlisted_voices: tuple[str, ...] | None = None
        self._is_spent = False

    def __repr__(self) -> str:
        return (
            f"<ElevenLabsEngine {self._name}: {len(self._models)} models, {len(self._voices)} voices, "
            f"{self._api!r}>"
        )

    def models(self) -> tuple[ModelInfo, ...]:
        return self._models

    def voices(self) -> tuple[VoiceInfo, ...]:
        return self._voices

    async def refresh(self) -> None:
        models = await listings.models(self._api, self._settings)
        voices, is_whole = await listings.voices(self._api)
        self._models, self._voices = models, voices
        self.unlisted_voices = () if is_whole else None  # None: there may be others
        if self._is_spent:
            # Lists are free, so an answer to them does not show that the account has credit.
            await listings.check_credit(self._api)
            self._is_spent = False

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        speech = Speech(self._api, self._settings, job, voice_id(job.voice))
        segments = phonemes.tagged(job.segments, job.pronunciations) if job.pronunciations else job.segments
        known = (each.max_characters for each in self._models if each.id == job.model)
        calls = joined(segments, next(known, listings.DEFAULT_MAX_CHARACTERS))
        async with aclosing(self._note_exhaustion(speech.events(calls))) as events:
            async for event in events:
                yield event

    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        events = self._converter.events(job, voice_id(job.voice), pcm)
        async with aclosing(self._note_exhaustion(events)) as noted:
            async for event in noted:
                yield event

    def transcribe(self, job: HearJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        return self._note_exhaustion(Transcription(self._api, self._settings, job).events(pcm))

    async def _note_exhaustion(self, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        """Give events, and note if the account has used up its credit."""
        try:
            async with aclosing(events):
                async for event in events:
                    yield event
        except EngineExhausted:
            self._is_spent = True
            raise


@asynccontextmanager
async def create(
    name: str, settings: ElevenLabsSettings, context: Context
) -> AsyncIterator[ElevenLabsEngine]:
    api = Api(context.http, settings.base_url, settings.api_key, context.log)
    yield ElevenLabsEngine(name, settings, api)
