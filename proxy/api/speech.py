"""POST /v1/audio/speech: audio as it is spoken, one WAV with true sizes, server-sent events, or JSON."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import Any

from msgspec.structs import replace
from starlette.types import Receive, Scope, Send

from policies.plans import Terms
from proxy.access.callers import Caller
from proxy.api.answering import PACE_HEADER, TAG, Answering
from proxy.api.speech_answers import (
    AudioDelta,
    AudioDone,
    AudioError,
    AudioWords,
    SpokenAnswer,
)
from proxy.api.speech_forms import Background, BackgroundRequest, SpeechForms
from proxy.api.speech_headers import ANSWER_HEADERS, SOME_ANSWER_HEADERS
from proxy.audio.formats import MEDIA_TYPES
from proxy.config.feature_switches import how_to_turn_on, off_sentence
from proxy.config.sections import Server
from proxy.errors import (
    DecodingFailed,
    IdempotencyKeyReused,
    LimitsUnavailable,
    NoPlace,
    NotAllowed,
    NotFound,
    QuotaExceeded,
    RateLimited,
    RequestUnderWay,
    UnsupportedMediaType,
    UpstreamFailed,
)
from proxy.http.body import BODY_FAILURES
from proxy.http.connection import Connection
from proxy.http.endpoint import Endpoint, json_answer
from proxy.http.idempotency import KEY_FIELD, KEY_HEADER, read_key
from proxy.speech import speech_request
from proxy.speech.speaking import Speaking
from proxy.speech.speech_body import SpeechBody
from proxy.speech.speech_request import Defaults
from proxy.speech.usage_tag import TAG_HEADER

SPEECH_FAILURES = (NotAllowed, RateLimited, QuotaExceeded, LimitsUnavailable, UpstreamFailed)
"""The failures that each endpoint with speech may have."""
RECORDING_FAILURES = (
    *(*BODY_FAILURES, NotFound, RequestUnderWay, UnsupportedMediaType, IdempotencyKeyReused, NoPlace),
    *(DecodingFailed, *SPEECH_FAILURES),
)
"""The failures of an endpoint whose requests may have a recording."""


class SpeechEndpoint:
    """An ASGI app, since it must see the client leave, and must be able to break off an answer."""

    def __init__(
        self,
        speaking: Speaking,
        answering: Answering,
        server: Server,
        forms: SpeechForms | None,
        background: Background | None,
    ) -> None:
        self._forms = forms
        self._background = background
        self._speaking = speaking
        self._answering = answering
        self._defaults = speech_request.Defaults.of(server)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection, state = Connection(scope, receive, send), scope["state"]
        caller: Caller = state["caller"]
        # Before the body: a request that is refused for its body counts, too.
        terms, state["rate"] = await self._speaking.admission.admit(caller)
        content_type = connection.fields.get(b"content-type", b"").lower()
        defaults, deployment = self._defaults, b""
        if "deployment" in state:
            defaults = replace(defaults, model=state["deployment"])
            deployment = state["deployment"].encode()
        if content_type.startswith(b"multipart/"):
            if not content_type.startswith(b"multipart/form-data"):
                raise UnsupportedMediaType("Send JSON, with content-type: application/json, or a form.")
            if self._forms is None:
                raise UnsupportedMediaType(
                    f"Send JSON. {off_sentence('own_voices', how_to_turn_on('own_voices'))}"
                )
            await self._speak_form(self._forms, state, terms, connection, defaults)
            return
        body = await connection.body(speech_request.MAX_BODY_BYTES)
        if caller.preferred_voice:
            defaults = await self._speaking.defaults_of(caller, defaults)
        request = speech_request.parse_speech(body, defaults, self._speaking.plans.client_fields)
        if request.answer == "background":
            if self._background is None:
                message = off_sentence("jobs", how_to_turn_on("jobs"))
                raise NotFound(message, param="background", code="feature_off")
            # Its key makes the id of a job. Its answer is not stored: a stored answer is valid by a row of
            # usage, and a 202 has none.
            key = read_key(connection.headers(KEY_FIELD))
            tags = connection.headers(TAG_HEADER.encode())
            background_request = BackgroundRequest(
                state["request_id"], self._speaking.admission, caller, terms, body, defaults, key, tags
            )
            await (await self._background.make_job(background_request))(scope, receive, send)
            return
        content, speak = deployment + body, partial(self._answering.speak, state, request, terms)
        await self._answering.answer_once(connection, state, terms, lambda: sha256(content).digest(), speak)

    async def _speak_form(
        self,
        forms: SpeechForms,
        state: dict[str, Any],
        terms: Terms,
        connection: Connection,
        defaults: Defaults,
    ) -> None:
        """Speak with the voice that comes with the request."""
        fields = self._speaking.plans.client_fields()
        form = forms.open_form(connection, state["caller"], terms, defaults, fields)
        async with form as (request, voice):
            await self._answering.speak(state, request, terms, connection, voice)


def speech_endpoints(
    endpoint: SpeechEndpoint, forms: SpeechForms | None, background: Background | None
) -> list[Endpoint]:
    return [
        Endpoint(
            "POST",
            "/v1/audio/speech",
            endpoint,
            "create_speech",
            "Text to speech: audio as it is spoken, server-sent events, or one JSON object",
            {
                **dict.fromkeys(MEDIA_TYPES.values(), ()),
                "text/event-stream": (AudioDelta, AudioWords, AudioDone, AudioError),
                **json_answer(SpokenAnswer),
            },
            body=SpeechBody,
            form=None if forms is None else forms.form,
            files=() if forms is None else forms.files,
            failures=RECORDING_FAILURES,
            request_headers=(KEY_HEADER, PACE_HEADER, TAG),
            accepted=None if background is None else background.accepted,
            headers=ANSWER_HEADERS,
            some_headers=SOME_ANSWER_HEADERS,
            is_direct=True,
            pace="own",
        )
    ]
