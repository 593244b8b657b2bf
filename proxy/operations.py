"""What every route takes and gives, in the structs that its endpoint reads and writes.

A test holds this table and the app's routes to one another, and real answers to both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from proxy.audio.formats import MEDIA_TYPES
from proxy.endpoints import admin, health, models, spoken, voices, welcome
from proxy.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    RequestFailed,
    RequestTooLarge,
    UnsupportedMediaType,
    UpstreamFailed,
)
from proxy.storage.accounts import Account
from proxy.storage.key_records import KeyRecord
from proxy.wire import SpeechBody

JSON = "application/json"
_BODY = (InvalidRequest, RequestTooLarge)

Struct = type[msgspec.Struct]
Failure = type[RequestFailed]
Access = Literal["open", "catalogue", "key", "admin"]
"""`catalogue` is `key`, or `open` where the operator says public_catalogue."""


class Query(NamedTuple):
    """A parameter after the question mark; never required."""

    name: str
    meaning: str
    values: tuple[str, ...] = ()


class Operation(NamedTuple):
    """One method on one path. `gives` has the structs of a good answer by media type, any one of them;
    none where the answer is bytes, or a document that describes itself."""

    name: str
    route: str
    summary: str
    gives: Mapping[str, tuple[Struct, ...]]
    access: Access = "key"
    status: int = 200
    takes: Struct | None = None
    queries: tuple[Query, ...] = ()
    failures: tuple[Failure, ...] = ()
    unwell: Struct | None = None

    @property
    def method(self) -> str:
        return self.route.partition(" ")[0].lower()

    @property
    def path(self) -> str:
        return self.route.partition(" ")[2]


def _json(*structs: Struct) -> Mapping[str, tuple[Struct, ...]]:
    return {JSON: structs}


SPEECH_HEADERS = {
    "x-voxgate-engine": "The `engine/model` that spoke; after a fallback, the one that really did.",
    "x-voxgate-voice": "The id of the voice.",
    "x-voxgate-language": "The language it was spoken in.",
    "x-voxgate-sample-rate": "In Hz.",
    "x-voxgate-cache": "`off`: this version has no cache.",
}

_SPEECH = Operation(
    "create_speech",
    "POST /v1/audio/speech",
    "Text to speech: audio as it is spoken, server-sent events, or one JSON object",
    {
        **dict.fromkeys(MEDIA_TYPES.values(), ()),
        "text/event-stream": (spoken.AudioDelta, spoken.AudioDone, spoken.AudioError),
        **_json(spoken.SpokenAnswer),
    },
    takes=SpeechBody,
    failures=(*_BODY, NotFound, UnsupportedMediaType, UpstreamFailed),
)

_VOICE_QUERIES = (
    Query("language", "Only voices of this language: `pt` finds `pt-BR` too."),
    Query("gender", "Only voices of this gender."),
    Query("format", "`names` gives ids alone.", ("names",)),
)


def _voices(root: str, suffix: str) -> tuple[Operation, ...]:
    return (
        Operation(
            f"list_voices{suffix}",
            f"GET {root}",
            "All voices",
            _json(voices.VoiceList, voices.VoiceNames),
            "catalogue",
            queries=_VOICE_QUERIES,
            failures=(InvalidRequest,),
        ),
        Operation(
            f"get_voice{suffix}",
            f"GET {root}/{{id}}",
            "One voice",
            _json(voices.VoiceEntry),
            failures=(NotFound,),
        ),
    )


_CATALOGUE = (
    Operation(
        "list_models",
        "GET /v1/models",
        "Aliases, and every engine/model",
        _json(models.ModelList),
        "catalogue",
    ),
    Operation(
        "get_model", "GET /v1/models/{id}", "One model", _json(models.ModelEntry), failures=(NotFound,)
    ),
    Operation(
        "list_audio_models",
        "GET /v1/audio/models",
        "The same models, each with a name",
        _json(models.AudioModelList),
        "catalogue",
    ),
    *_voices("/v1/audio/voices", ""),
    *_voices("/v1/voices", "_by_short_path"),
)

_SERVER = (
    Operation("welcome", "GET /", "Says that a voxgate is here", _json(welcome.Welcome), "open"),
    Operation("welcome_v1", "GET /v1", "The same", _json(welcome.Welcome), "open"),
    Operation("openapi", "GET /openapi.json", "This document", _json(), "open"),
    Operation("is_live", "GET /healthz", "200 while the process answers", _json(health.Liveness), "open"),
    Operation(
        "is_ready",
        "GET /readyz",
        "200 when it can serve, else 503",
        _json(health.Readiness),
        "open",
        unwell=health.Readiness,
    ),
)

_ADMIN = (
    Operation("list_accounts", "GET /admin/accounts", "All accounts", _json(admin.AccountList), "admin"),
    Operation(
        "create_account",
        "POST /admin/accounts",
        "Make an account",
        _json(Account),
        "admin",
        status=201,
        takes=admin.NewAccount,
        failures=(*_BODY, Conflict),
    ),
    Operation(
        "get_account",
        "GET /admin/accounts/{id}",
        "One account, by id or name, with its keys",
        _json(admin.AccountWithKeys),
        "admin",
        failures=(NotFound,),
    ),
    Operation(
        "change_account",
        "POST /admin/accounts/{id}",
        "Change an account's plan",
        _json(Account),
        "admin",
        takes=admin.AccountChange,
        failures=(*_BODY, NotFound),
    ),
    Operation(
        "close_account",
        "DELETE /admin/accounts/{id}",
        "Close an account: its keys stop working, its usage stays",
        _json(Account),
        "admin",
        failures=(NotFound,),
    ),
    Operation(
        "list_keys",
        "GET /admin/keys",
        "Keys, without their secrets",
        _json(admin.KeyList),
        "admin",
        queries=(Query("account", "Only this account's, by its id or name."),),
        failures=(NotFound,),
    ),
    Operation(
        "create_key",
        "POST /admin/keys",
        "Make a key; its secret is shown this once",
        _json(admin.MintedKey),
        "admin",
        status=201,
        takes=admin.NewKey,
        failures=(*_BODY, NotFound),
    ),
    Operation(
        "revoke_key",
        "DELETE /admin/keys/{id}",
        "End a key",
        _json(KeyRecord),
        "admin",
        failures=(NotFound,),
    ),
    Operation(
        "rotate_key",
        "POST /admin/keys/{id}/rotate",
        "A new key like this one, which is revoked",
        _json(admin.MintedKey),
        "admin",
        status=201,
        failures=(InvalidRequest, NotFound),
    ),
    Operation(
        "list_engines",
        "GET /admin/engines",
        "Engines with their state, and plugins that failed",
        _json(admin.EngineStatuses),
        "admin",
    ),
)

OPERATIONS = (_SPEECH, *_CATALOGUE, *_SERVER, *_ADMIN)
