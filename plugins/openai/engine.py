"""An engine for any server that has OpenAI's speech API.

A job is one call, or several calls if its text is long. The bytes are passed on as they come.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from plugins.openai import lists
from plugins.openai.answer_reader import AnswerReader
from plugins.openai.deltas import AudioBody
from plugins.openai.recordings import form_body, json_body
from plugins.openai.refusals import refusal
from plugins.openai.settings import PASSED_ON, SAMPLE_HZ, Format, OpenAISettings
from speech_engine import (
    EngineError,
    EngineVoice,
    Event,
    Finished,
    HttpAnswer,
    HttpClient,
    HttpForm,
    HttpRequest,
    ModelInfo,
    SampleReader,
    Samples,
    SpeechJob,
    VoiceInfo,
    VoiceNotFound,
)
from speech_engine.samples import NO_SAMPLES
from speech_engine.text.joining import Call, joined

_LIST_S = 8.0
"""The longest wait for a list. A whole refresh has ten seconds."""
_LATER_S = 20.0
"""The longest wait for a later call of a long text. The job's deadline is only for the first audio."""
_LONGEST_REFUSAL = 64 * 1024
_NO_LIST = (403, 404, 405, 501)
"""The list does not exist, or this key may not read it. Some keys may only speak."""


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
        self._models = settings.models
        self._shutdown_dates: dict[str, str] = {}
        self._voices = tuple(self._named(id_) for id_ in settings.first_voices)

    def __repr__(self) -> str:
        return f"<OpenAIEngine {len(self._models)} models, {len(self._voices)} voices>"

    def models(self) -> tuple[ModelInfo, ...]:
        """Return the models of the settings, or else of the server's list.

        Before the first refresh that list is empty.
        """
        return tuple(self._settings.model(id_, self._shutdown_dates.get(id_, "")) for id_ in self._models)

    def voices(self) -> tuple[VoiceInfo, ...]:
        return self._voices

    async def refresh(self) -> None:
        # The settings may name all models and voices. The request still shows that the server is up.
        listed = await self._listed(self._settings.model_list or "/audio/models")
        ids = lists.model_ids(listed)
        if not ids:
            listed = await self._listed("/models")
            ids = lists.for_speech(lists.model_ids(listed))
        self._shutdown_dates = lists.shutdown_dates(listed)
        if not self._settings.models:
            self._models = ids or self._models
        if not self._settings.voices:
            voices = lists.voices(await self._listed("/audio/voices", "/voices"))
            self._voices = tuple(self._with_known(voice) for voice in voices) or self._voices

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        format_ = self._format(job)
        reader = AnswerReader(job, format_, self._settings.rate_hz(job.model))
        units: list[float] = []
        for call in joined(job.segments, self._settings.max_characters):
            reader.begin(call.segment)
            async with self._http.send(self._request(job, call, format_)) as answer:
                if answer.status != 200:
                    raise await _refusal(answer)
                reader.state_rate(answer.headers.get("content-type", ""))
                body = AudioBody(answer)
                while not body.is_over and not reader.is_full:
                    for event in reader.feed_all(await body.next_audio()):
                        yield event
                for event in reader.end():
                    yield event
            if body.units is not None:
                units.append(body.units)
            if reader.is_full:
                break
        yield Finished(sum(units) if units else None)

    def _request(self, job: SpeechJob, call: Call, format_: Format) -> HttpRequest:
        body: dict[str, Any] = {
            **self._settings.extra,
            **job.extra,
            "model": self._settings.sent_model(job.model, job.language),
            "input": call.text,
            "response_format": format_,
        }
        if not isinstance(job.voice, Samples):
            body["voice"] = _voice_id(job)
        if job.instructions:
            body["instructions"] = job.instructions
        if job.speed != 1.0:
            body["speed"] = job.speed
        if (language := self._settings.language_field(job.model, job.language)) is not None:
            body["language"] = language
        if self._settings.stream == "sse":
            body["stream_format"] = "sse"
        headers = self._settings.http_headers
        encoded = self._encoded(body, job)
        if isinstance(encoded, bytes):
            headers["content-type"] = "application/json"
        return HttpRequest(
            method="POST",
            url=self._settings.url("/audio/speech"),
            headers=headers,
            body=encoded,
            within_s=job.deadline_s if call.segment == 0 else _LATER_S,
        )

    def _encoded(self, body: dict[str, Any], job: SpeechJob) -> bytes | HttpForm:
        """Return the body as the server takes it. A voice of recordings is sent with its longest one."""
        if not isinstance(job.voice, Samples):
            return msgspec.json.encode(body)
        if self._settings.recordings == "none" or not job.voice.samples:
            raise VoiceNotFound("This engine speaks with the voices its server has, and with no others.")
        sample = max(job.voice.samples, key=lambda each: each.seconds)
        write = json_body if self._settings.recordings == "json" else form_body
        return write(body, self._samples.pcm(job, sample), SAMPLE_HZ, sample)

    def _format(self, job: SpeechJob) -> Format:
        """Return the server's first format that the job can take, else one of plain samples."""
        for format_ in self._settings.formats:
            if format_ in PASSED_ON and format_ in job.formats:
                return format_
        return self._settings.uncompressed

    async def _listed(self, *paths: str) -> Any:
        """Return the first of these lists that the server has, or None if it has none."""
        for path in paths:
            request = HttpRequest(
                method="GET",
                url=self._settings.url(path),
                headers=self._settings.http_headers,
                within_s=_LIST_S,
            )
            async with self._http.send(request) as answer:
                if answer.status == 200:
                    return lists.decoded(await answer.read())
                if answer.status not in _NO_LIST:
                    raise await _refusal(answer)
        return None

    def _named(self, id_: str) -> VoiceInfo:
        return self._with_known(lists.named(id_))

    def _with_known(self, voice: VoiceInfo) -> VoiceInfo:
        """Return the voice with what its name says, where the server says nothing."""
        known = self._settings.known_voice(voice.id)
        if known is None:
            return voice
        return msgspec.structs.replace(
            voice, language=voice.language or known.language, gender=voice.gender or known.gender
        )


def _voice_id(job: SpeechJob) -> str:
    if not isinstance(job.voice, EngineVoice):
        raise VoiceNotFound("This engine speaks with the voices its server has, and with no others.")
    return job.voice.id


async def _refusal(answer: HttpAnswer) -> EngineError:
    body = b""
    try:
        while len(body) <= _LONGEST_REFUSAL and (piece := await answer.next_piece()):
            body += piece
    except EngineError:
        # The body could not be read, so the status alone must be enough.
        body = b""
    return refusal(answer.status, answer.headers, body)
