"""The messages of the sockets: what a client sends, and what it gets."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from proxy.errors import InvalidRequest, RequestFailed
from proxy.features.elevenlabs_api.alignment import ChunkAlignment
from proxy.features.elevenlabs_api.failures import code_of, message_of
from proxy.http.replies import encode_json
from proxy.speech import speech_request
from speech_engine.redacted import Redacted

MOST_ID = 256
_Switch = Annotated[bool, Meta(description="true or false")]


class ContextMessage(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A message of a client. Keys that are not listed have no effect."""

    text: Annotated[str, Meta(description="a text")] | None = None
    context_id: (
        Annotated[str, Meta(max_length=MOST_ID, description=f"a text of up to {MOST_ID} characters")] | None
    ) = None
    voice_settings: Annotated[dict[str, Any], Meta(description="an object")] | None = None
    flush: _Switch | None = None
    close_context: _Switch | None = None
    close_socket: _Switch | None = None


class AudioMessage(Redacted, msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Sound, and the characters whose times are known by then. `isFinal` is true in the last message of a
    context, which has no sound."""

    audio: str | None = None
    is_final: bool | None = None
    alignment: ChunkAlignment | None = None
    normalized_alignment: ChunkAlignment | None = None
    context_id: str | UnsetType = UNSET


class FailureMessage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A failure of a context, or of a message that names none."""

    message: str
    error: str
    code: int
    context_id: str | UnsetType = UNSET


def read_message(data: str | bytes) -> ContextMessage:
    """Raises InvalidRequest with the first field that is wrong."""
    if isinstance(data, bytes):
        raise InvalidRequest("A message must be a text with JSON. This one is binary.", code="invalid_json")
    raw = data.encode("utf-8", "surrogatepass")
    try:
        return speech_request.parse(ContextMessage, raw, most_bytes=len(raw))
    except InvalidRequest as failure:
        if failure.code != "invalid_json":
            raise
        message = 'A message must be one JSON object, such as {"text": "Hello. ", "flush": true}.'
        raise InvalidRequest(message, code="invalid_json") from None


def close_code(failure: RequestFailed) -> int:
    return 1008 if failure.status < 500 else 1011


def error_message(failure: RequestFailed, context: str | UnsetType) -> str:
    return encode_json(
        FailureMessage(
            message=message_of(failure),
            error=code_of(failure),
            code=close_code(failure),
            context_id=context,
        )
    ).decode()
