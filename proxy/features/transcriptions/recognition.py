"""The server's own recognisers: local models that transcribe for the server itself, when they are idle."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from math import inf
from typing import Any

from msgspec.structs import replace

from policies.licence import Licences
from policies.plans import Terms
from policies.routing import Model
from policies.routing.filters import may_see, speaks
from proxy.catalogue.recognition import (
    WINDOW_S,
    LocalRecognition,
    MadeSpeech,
    OwnRecording,
    OwnTranscript,
    Recogniser,
    ScoredTranscript,
)
from proxy.config.config_toml import Config
from proxy.engines.engine_list import Engines
from proxy.errors import NotAllowed, UpstreamFailed
from proxy.features.transcriptions.events import checked_transcripts
from proxy.features.transcriptions.hearing import HearingMetrics
from proxy.storage.rows import new_id
from speech_engine import (
    EngineError,
    EngineUnavailable,
    Hear,
    HearJob,
    ReadSounds,
    SoundsRead,
    TranscriptSegment,
)
from speech_engine.bounds import MOST_SHOWN, MOST_TEXTS
from speech_engine.hearing import HEARING_HZ, TranscriptWord
from speech_engine.host.engine_stream import run_to_end
from speech_engine.pcm import PcmInMemory

_TONE_MODELS = frozenset({"ears"})
"""The models, by id, that recognise tones and no speech."""

_PHONEME_PLUGIN = "espeak"
_PHONEME_WAIT_S = 10.0
_STARTING_RETRY_S = 5.0
_REPEATED = re.compile(r"\b(\w+)(?:\W+\1\b){4}")
"""A word five times in a row. A model that repeats itself may have a high score for it."""


class ModelRecognition(LocalRecognition):
    def __init__(self, engines: Engines, metrics: HearingMetrics) -> None:
        self._engines = engines
        self._metrics = metrics
        self._licences = Licences()
        self._phoneme_engines: tuple[str, ...] = ()

    def read_config(self, config: Config, licences: Licences) -> None:
        self._licences = licences
        known = dict(self._engines.items())
        sections = config.engines.items()
        self._phoneme_engines = tuple(
            name for name, each in sections if each.plugin == _PHONEME_PLUGIN and name in known
        )

    def may_hear(self, language: str) -> bool:
        is_coming = any(each.state != "failed" and not each.models() for _, each in self._engines.items())
        return is_coming or next(self._hearing_models(language), None) is not None

    def can_time(self, language: str) -> bool:
        return any(_late_s(model, language) is not None for model in self._hearing_models(language))

    def find_model(self, language: str, terms: Terms) -> Model:
        known = [*self._hearing_models(language)]
        for model in known:
            if may_see(model, terms, self._licences):
                return model
        if known:
            raise NotAllowed(
                f"Your plan '{terms.plan}' has no local model that hears.", code="model_not_allowed"
            )
        if self.may_hear(language):
            raise UpstreamFailed("The model that hears is still starting.", retry_after_s=_STARTING_RETRY_S)
        return super().find_model(language, terms)

    async def hear(
        self, recording: OwnRecording, within_s: float, model: Model | None = None
    ) -> OwnTranscript:
        model = model or next(self._hearing_models(recording.language), None)
        finds = {"language": "", "languages": recording.languages} if recording.languages else {}
        times = "words" if model is not None and model.info.times_words else ""
        segments = await self._hear_segments(model, recording, within_s, **finds, times=times)
        assert model is not None
        text = "".join([segment.text for segment in segments])
        lowest_logprob = min([each.avg_logprob for each in segments], default=0.0)
        if _REPEATED.search(text):
            lowest_logprob = -inf
        is_reliable = _base(recording.language) in model.info.hears_well
        languages = frozenset([_base(segment.language) for segment in segments])
        words = tuple([word for segment in segments for word in segment.words])
        return OwnTranscript(text.strip(), is_reliable, languages, lowest_logprob, words)

    def find_recogniser(self, language: str, *, is_speech: bool = True) -> Recogniser | None:
        model = self._good_model(language, is_speech=is_speech)
        return None if model is None else Recogniser(model.name, self._engines[model.engine].slots)

    async def hear_made(self, made: MadeSpeech, within_s: float, *, full_window: bool) -> ScoredTranscript:
        recording = made.recording
        model = self._good_model(recording.language, is_speech=made.is_speech)
        fields: dict[str, Any] = {
            "share": made.share / (1 - made.share),  # beside one account, whose share is 1.0
            "urgency": "idle" if made.is_idle else "live",
            "full_window": full_window,
        }
        has_scores = model is not None and model.info.scores_text and recording.length_s <= WINDOW_S
        if has_scores:
            fields |= {"texts": (made.text,), "times": "words", "transcribes": True}
        found = await self._hear_segments(model, recording, within_s, **fields)
        assert model is not None
        words = [word for segment in found for word in segment.words] if has_scores else []
        late_s = _late_s(model, recording.language) or 0.0
        return ScoredTranscript("".join([each.text for each in found]).strip(), _shift_earlier(words, late_s))

    async def score_words(
        self, recording: OwnRecording, texts: Sequence[str], starts_s: Sequence[float], within_s: float
    ) -> Sequence[TranscriptSegment]:
        models = (
            (_late_s(each, recording.language), each) for each in self._hearing_models(recording.language)
        )
        late_s, model = next(((late, each) for late, each in models if late is not None), (0.0, None))
        known = {"texts": tuple(texts), "starts_s": tuple(starts_s), "times": "words" if texts else ""}
        found = await self._hear_segments(model, recording, within_s, **known)
        return [replace(each, words=_shift_earlier(each.words, late_s)) for each in found]

    async def phonemes_of(self, texts: Sequence[str], language: str) -> Mapping[str, str] | None:
        short_texts = tuple([text for text in texts if len(text) <= MOST_SHOWN][:MOST_TEXTS])
        for name in self._phoneme_engines:
            work = ReadSounds(
                id=new_id("hear"), tenant="", deadline_s=_PHONEME_WAIT_S, texts=short_texts, language=language
            )
            stream = self._engines[name].open(work)
            with suppress(EngineError, TimeoutError):
                try:
                    async with asyncio.timeout(_PHONEME_WAIT_S):
                        while (event := await stream.next_event()) is not None:
                            if isinstance(event, SoundsRead):
                                return dict(zip(short_texts, event.sounds, strict=False))
                finally:
                    await run_to_end(stream.close())
        return None

    def _hearing_models(self, language: str) -> Iterator[Model]:
        """Yield the local models that hear a language, in the order of the configuration."""
        for name, engine in self._engines.items():
            for info in engine.models():
                is_free = self._licences.obstacle(name, info, is_paid=False) is None
                if info.hears and info.is_local and is_free and (not language or speaks(info, language)):
                    yield Model(name, info)

    def _good_model(self, language: str, *, is_speech: bool) -> Model | None:
        found = (
            each for each in self._hearing_models(language) if (each.info.id in _TONE_MODELS) is not is_speech
        )
        return next((each for each in found if _base(language) in each.info.hears_well), None)

    async def _hear_segments(
        self, model: Model | None, recording: OwnRecording, within_s: float, **fields: Any
    ) -> list[TranscriptSegment]:
        if model is None:
            raise EngineUnavailable("No local model hears this language.")
        job = HearJob(
            id=new_id("hear"),
            tenant=recording.account,
            model=model.info.id,
            recording=sha256(recording.pcm).hexdigest(),
            estimated_s=recording.length_s,
            deadline_s=within_s,
            **{"language": recording.language, "urgency": "idle", "times": "", **fields},
        )
        stream = self._engines[model.engine].open(Hear(job), pcm=PcmInMemory(recording.pcm, HEARING_HZ))
        found: list[TranscriptSegment] = []
        try:
            async for transcript in checked_transcripts(stream, recording.length_s, within_s):
                found += transcript.segments
        finally:
            await run_to_end(stream.close())
        self._metrics.seconds.labels(model.engine, model.info.id).inc(recording.length_s)
        return found


def _shift_earlier(words: Iterable[TranscriptWord], late_s: float) -> tuple[TranscriptWord, ...]:
    return tuple([replace(word, start_s=word.start_s - late_s) for word in words])


def _late_s(model: Model, language: str) -> float | None:
    """Return by how much a model hears known words too late; None if it does not time them well."""
    return dict(model.info.known_words_late_s).get(_base(language))


def _base(language: str) -> str:
    return language.partition("-")[0].lower()
