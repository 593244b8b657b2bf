"""The shape of failures as ElevenLabs' clients read them."""

from __future__ import annotations

import msgspec
from starlette.responses import Response
from starlette.types import Scope

from proxy.errors import InvalidRequest, RequestFailed
from proxy.http.replies import failure_reply, reply

PREFIX = "/elevenlabs"
KEY_HEADER = "xi-api-key"

_CODES = {
    "insufficient_quota": "quota_exceeded",
    "text_too_long": "max_character_limit_exceeded",
    "string_above_max_length": "max_character_limit_exceeded",
}
_STATUSES = {"insufficient_quota": 401}
"""ElevenLabs' SDK sends a request with a 429 again, whatever else the answer says."""
_THEIR_FIELDS = {
    "input": "text",
    "model": "model_id",
    "voice": "voice_id",
    "language": "language_code",
    "response_format": "output_format",
    "speed": "voice_settings.speed",
}
"""The names of our fields in ElevenLabs' API."""
_THEIR_PATHS = {"/v1/audio/voices": "/v2/voices", "/v1/models": "/v1/models"}


class UnsupportedFormat(InvalidRequest):
    """422: the server has no such `output_format`."""

    status, default_code = 422, "unsupported_output_format"


class Detail(msgspec.Struct, frozen=True):
    """A failure. `status` is the older name of `code`; clients look at either."""

    type: str
    code: str
    message: str
    status: str
    request_id: str
    param: str | None


class Failure(msgspec.Struct, frozen=True):
    detail: Detail


def code_of(failure: RequestFailed) -> str:
    return _CODES.get(failure.code, failure.code)


def message_of(failure: RequestFailed) -> str:
    """Return the message with the names that fields and lists have in this API."""
    our_field = failure.param or ""
    message = failure.message.replace(f"'{our_field}'", f"'{_THEIR_FIELDS.get(our_field, our_field)}'")
    for path, their_path in _THEIR_PATHS.items():
        message = message.replace(f"GET {path}", f"GET {PREFIX}{their_path}")
    return message


def reply_in_dialect(failure: RequestFailed, scope: Scope) -> Response:
    detail = Detail(
        failure.kind,
        code_of(failure),
        message_of(failure),
        code_of(failure),
        scope["state"]["request_id"],
        _THEIR_FIELDS.get(failure.param or "", failure.param),
    )
    headers = dict(failure_reply(failure).headers)
    del headers["content-length"], headers["content-type"]
    return reply(Failure(detail), _STATUSES.get(failure.code, failure.status), headers)
