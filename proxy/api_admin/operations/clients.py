"""What clients meet: speech, what can be spoken with, what an account has used, and the server itself."""

from __future__ import annotations

from proxy.api import health, me, models, speech_answers, usage, welcome
from proxy.api_admin.operations.library import LIBRARY
from proxy.audio.formats import MEDIA_TYPES
from proxy.errors import (
    IdempotencyKeyReused,
    InvalidRequest,
    LimitsUnavailable,
    NotAllowed,
    NotFound,
    QuotaExceeded,
    RateLimited,
    RequestUnderWay,
    UnsupportedMediaType,
    UpstreamFailed,
)
from proxy.http.operation import (
    BODY,
    PAGE,
    SINCE,
    SOME_SPEECH_HEADERS,
    SPEECH_HEADERS,
    UNTIL,
    Header,
    Operation,
    Query,
    json,
)
from proxy.speech.speech_request import SpeechBody
from proxy.storage.usage_sums import SIDES

_IDEMPOTENCY_KEY = Header(
    "Idempotency-Key",
    "A request that comes again with the same key is answered with the same bytes, and charged once.",
    "^[ -~]{1,255}$",
)

_SPEECH = Operation(
    "create_speech",
    "POST /v1/audio/speech",
    "Text to speech: audio as it is spoken, server-sent events, or one JSON object",
    {
        **dict.fromkeys(MEDIA_TYPES.values(), ()),
        "text/event-stream": (speech_answers.AudioDelta, speech_answers.AudioDone, speech_answers.AudioError),
        **json(speech_answers.SpokenAnswer),
    },
    takes=SpeechBody,
    failures=(
        *BODY,
        *(NotAllowed, NotFound, RequestUnderWay, UnsupportedMediaType, IdempotencyKeyReused),
        *(RateLimited, QuotaExceeded, LimitsUnavailable, UpstreamFailed),
    ),
    heeds=(_IDEMPOTENCY_KEY,),
    headers=tuple(SPEECH_HEADERS),
    may_have=tuple(SOME_SPEECH_HEADERS),
)

_CATALOGUE = (
    Operation(
        "list_models",
        "GET /v1/models",
        "The aliases and every engine/model that the caller's plan may use",
        json(models.ModelList),
        "catalogue",
        failures=(NotAllowed,),
    ),
    Operation(
        "get_model",
        "GET /v1/models/{id}",
        "One model",
        json(models.ModelEntry),
        failures=(NotAllowed, NotFound),
    ),
    Operation(
        "list_audio_models",
        "GET /v1/audio/models",
        "The same models, each with a name",
        json(models.AudioModelList),
        "catalogue",
        failures=(NotAllowed,),
    ),
    *LIBRARY,
)

USAGE_QUERIES = (
    SINCE,
    UNTIL,
    Query("by", "Sums instead of single requests, one for each of these: up to `limit`, not paged.", SIDES),
    Query("format", "`csv` is for spreadsheets: all rows, or the first `limit`.", ("json", "csv")),
    *PAGE,
)

_OWN = (
    Operation(
        "list_usage",
        "GET /v1/usage",
        "The account's requests with what they came to, or sums of them",
        {**json(usage.UsageList, usage.UsageGroups), "text/csv": ()},
        queries=USAGE_QUERIES,
        failures=(InvalidRequest, RateLimited, LimitsUnavailable),
    ),
    Operation(
        "get_me",
        "GET /v1/me",
        "The account, the key, the plan, its limits, and what is left",
        json(me.MeAnswer),
        failures=(NotAllowed,),
    ),
)

_SERVER = (
    Operation("welcome", "GET /", "Says that a voxgate is here", json(welcome.WelcomeAnswer), "open"),
    Operation("welcome_v1", "GET /v1", "The same", json(welcome.WelcomeAnswer), "open"),
    Operation("openapi", "GET /openapi.json", "This document", json(), "open"),
    Operation("is_live", "GET /healthz", "200 while the process answers", json(health.Liveness), "open"),
    Operation(
        "is_ready",
        "GET /readyz",
        "200 when it can serve, else 503",
        json(health.Readiness),
        "open",
        unwell=health.Readiness,
    ),
)

CLIENTS = (_SPEECH, *_CATALOGUE, *_OWN, *_SERVER)
