"""An engine for any server that has OpenAI's speech API, or that of transcriptions.

A job is one call, or several calls if its text is long. The bytes are passed on as they come.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from plugins.openai import lists
from plugins.openai.answer_reader import AnswerReader
from plugins.openai.deltas import AudioBody
from plugins.openai.lists import Lists
from plugins.openai.refusals import refusal_of_answer
from plugins.openai.settings import PASSED_ON, SAMPLE_HZ, Format, OpenAISettings
from plugins.openai.transcription import Transcription
from speech_engine import (
    Context,
    EngineVoice,
    Event,
    Finished,
    HearJob,
    HttpClient,
    HttpFile,
    HttpForm,
    HttpRequest,
    ModelInfo,
    Sample,
    SampleReader,
    Samples,
    SpeechJob,
    VoiceInfo,
    VoiceNotFound,
)
from speech_engine.cloud import Call, joined
from speech_engine.pcm import wav_file
from speech_engine.samples import NO_SAMPLES

_OTHER_VOICES = "This engine speaks with the voices its server has, and with no others."
_LATER_CALL_S = 20.0
"""The longest wait for a later call of a long text. The job's deadline is only for the first audio."""


class OpenAIEngine:
    slots = 8
    # Many servers also take voices that no list names, such as blends.
    unlisted_voices = None

    def __init__(
        self, settings: OpenAISettings, http: HttpClient, samples: SampleReader = NO_SAMPLES
    ) -> None:
        self._settings = settings
        self._http = http
        self._samples = samples
        self._speech_url = settings.url("/audio/speech")
        self._headers = settings.http_headers
        self._json_headers = {**self._headers, "content-type": "application/json"}
        self._models = settings.models
        self._voice_field = settings.voice_field
        self._shutdown_dates: dict[str, str] = {}
        self._lists = Lists(settings, http)
        self._voices = tuple(self._complete_voice(lists.voice_named(id_)) for id_ in settings.first_voices)

    def models(self) -> tuple[ModelInfo, ...]:
        """Return the models of the settings, or else of the server's list.

        Before the first refresh that list is empty.
        """
        dates, settings = self._shutdown_dates, self._settings
        return (
            *(settings.model(id_, dates.get(id_, "")) for id_ in self._models),
            *(settings.hearing_model(id_, dates.get(id_, "")) for id_ in settings.transcribes),
        )

    def voices(self) -> tuple[VoiceInfo, ...]:
        return self._voices

    async def refresh(self) -> None:
        # The settings may name all models and voices. The request still shows that the server is up.
        listed = await self._lists.fetch_first(self._settings.model_list or "/audio/models")
        ids = lists.model_ids(listed)
        if not ids:
            listed = await self._lists.fetch_first("/models")
            ids = lists.speech_models(lists.model_ids(listed))
        self._shutdown_dates = lists.shutdown_dates(listed)
        if not self._settings.models and self._settings.preset_facts.speaks:
            ids = tuple(id_ for id_ in ids if id_ not in self._settings.transcribes)
            self._models = ids or self._models
        if not self._settings.voices:
            voices = lists.voices(await self._lists.fetch_first("/audio/voices", "/voices"))
            self._voices = tuple(self._complete_voice(voice) for voice in voices) or self._voices

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        format_ = self._choose_format(job)
        reader = AnswerReader(job, format_, self._settings.rate_hz(job.model))
        units: list[float] = []
        is_full = False
        for call in joined(job.segments, self._settings.max_characters):
            reader.begin(call.segment)
            async with self._http.send(self._request(job, call, format_)) as answer:
                if answer.status != 200:
                    raise await refusal_of_answer(answer)
                reader.state_rate(answer.headers.get("content-type", ""))
                body = AudioBody(answer)
                while not body.is_over and not is_full:
                    for data in await body.next_audio():
                        for event in reader.feed(data):
                            yield event
                        if is_full := reader.is_full:
                            break
                for event in reader.end():
                    yield event
            if body.units is not None:
                units.append(body.units)
            if is_full:
                break
        yield Finished(sum(units) if units else None)

    def transcribe(self, job: HearJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        return Transcription(job, self._settings, self._http).events(pcm)

    def _request(self, job: SpeechJob, call: Call, format_: Format) -> HttpRequest:
        body: dict[str, Any] = {
            **self._settings.extra,
            **job.extra,
            "model": self._settings.request_model(job.model, job.language),
            "input": call.text,
            "response_format": format_,
        }
        if isinstance(job.voice, EngineVoice):
            body[self._voice_field] = job.voice.id
        elif not isinstance(job.voice, Samples):
            raise VoiceNotFound(_OTHER_VOICES)
        if job.instructions:
            body["instructions"] = job.instructions
        if job.speed != 1.0:
            body["speed"] = job.speed
        if (language := self._settings.language_field(job.model, job.language)) is not None:
            body["language"] = language
        if self._settings.stream == "sse":
            body["stream_format"] = "sse"
        request_body: dict[str, Any] | HttpForm = body
        if isinstance(job.voice, Samples):
            request_body = self._with_recording(body, job, job.voice)
        return HttpRequest(
            method="POST",
            url=self._speech_url,
            headers=self._headers if isinstance(request_body, HttpForm) else self._json_headers,
            body=request_body if isinstance(request_body, HttpForm) else msgspec.json.encode(request_body),
            # The first call begins with the first segment.
            within_s=job.deadline_s if call.segment == 0 else _LATER_CALL_S,
        )

    def _with_recording(
        self, body: dict[str, Any], job: SpeechJob, voice: Samples
    ) -> dict[str, Any] | HttpForm:
        """Return the body with the voice's longest recording, as the server takes it."""
        if self._settings.recordings == "none" or not voice.samples:
            raise VoiceNotFound(_OTHER_VOICES)
        sample = max(voice.samples, key=lambda each: each.seconds)
        write = json_body if self._settings.recordings == "json" else form_body
        return write(body, self._samples.pcm(job, sample), SAMPLE_HZ, sample)

    def _choose_format(self, job: SpeechJob) -> Format:
        """Return the server's first format that the job can take, else one of plain samples."""
        for format_ in self._settings.formats:
            if format_ in PASSED_ON and format_ in job.formats:
                return format_
        return self._settings.uncompressed

    def _complete_voice(self, voice: VoiceInfo) -> VoiceInfo:
        """Return the voice with the language and gender of its name, where the server gives none."""
        known = self._settings.known_voice(voice.id)
        if known is None:
            return voice
        return msgspec.structs.replace(
            voice, language=voice.language or known.language, gender=voice.gender or known.gender
        )


@asynccontextmanager
async def create(_name: str, settings: OpenAISettings, context: Context) -> AsyncIterator[OpenAIEngine]:
    yield OpenAIEngine(settings, context.http, context.samples)


_WAV = "audio/wav"
_CONSENT = "true"
"""This server has the speaker's consent, or its operator waives it; the other one only gets the statement."""


def json_body(fields: dict[str, Any], pcm: bytes, rate_hz: int, sample: Sample) -> dict[str, Any]:
    audio = base64.b64encode(wav_file(pcm, rate_hz)).decode()
    body = {**fields, "ref_audio": f"data:{_WAV};base64,{audio}"}
    if sample.text:
        body["ref_text"] = sample.text
    return body


def form_body(fields: dict[str, Any], pcm: bytes, rate_hz: int, sample: Sample) -> HttpForm:
    texts = [
        (name, value if isinstance(value, str) else msgspec.json.encode(value).decode())
        for name, value in fields.items()
    ]
    texts.append(("consent", _CONSENT))
    if sample.text:
        texts.append(("reference_text", sample.text))
    file = HttpFile("reference_audio", "recording.wav", wav_file(pcm, rate_hz), _WAV)
    return HttpForm(tuple(texts), (file,))
