"""The messages of a Realtime API: requests as JSON, and events as structs. Other events are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any, NamedTuple

import msgspec

from plugins.openai.realtime.settings import RATE_HZ
from speech_engine import EngineFailed

_PCM_SECOND_BYTES = 2 * RATE_HZ
_AUDIO_TOKENS_A_SECOND = 20
_FORMAT = {"type": "audio/pcm", "rate": RATE_HZ}


class SessionKey(NamedTuple):
    """The fixed values of a session. Its voice cannot change after the first speech."""

    model: str
    voice: str
    speed: float


class _Format(msgspec.Struct):
    type: str | None = None
    rate: int | None = None


class _Output(msgspec.Struct):
    format: _Format | str | None = None


class _Audio(msgspec.Struct):
    output: _Output | None = None


class SessionBody(msgspec.Struct):
    expires_at: float | None = None
    audio: _Audio | None = None

    @property
    def rate_hz(self) -> int:
        """The rate of its speech, by default RATE_HZ."""
        output = self.audio.output if self.audio else None
        format_ = output.format if output else None
        return (format_.rate if isinstance(format_, _Format) else None) or RATE_HZ


class SessionEvent(msgspec.Struct):
    session: SessionBody


class AudioDelta(msgspec.Struct):
    response_id: str
    delta: str


class TranscriptDelta(msgspec.Struct):
    response_id: str
    delta: str = ""
    transcript: str | None = None
    output_index: int = 0
    content_index: int = 0


class ErrorBody(msgspec.Struct):
    type: str | None = None
    code: str | None = None
    param: str | None = None
    event_id: str | None = None


class ErrorEvent(msgspec.Struct):
    error: ErrorBody


class _Details(msgspec.Struct):
    reason: str | None = None
    error: ErrorBody | None = None


class _TokenKinds(msgspec.Struct):
    text_tokens: int = 0
    audio_tokens: int = 0
    cached_tokens: int = 0


class TokenUsage(msgspec.Struct):
    input_token_details: _TokenKinds | None = None
    output_token_details: _TokenKinds | None = None

    def weighted_tokens(self, weights: Mapping[Any, float]) -> float:
        """Return all tokens as tokens of spoken audio, by the price of each kind."""
        read, made = self.input_token_details or _TokenKinds(), self.output_token_details or _TokenKinds()
        fresh = max(0, read.text_tokens + read.audio_tokens - read.cached_tokens)
        return max(
            0.0,
            fresh * weights.get("text_in", 0.0)
            + read.cached_tokens * weights.get("cached_in", 0.0)
            + made.text_tokens * weights.get("text_out", 0.0)
            + made.audio_tokens,
        )


class ResponseBody(msgspec.Struct):
    id: str
    metadata: dict[str, Any] | None = None
    status: str | None = None
    status_details: _Details | None = None
    usage: TokenUsage | None = None


class ResponseEvent(msgspec.Struct):
    response: ResponseBody


class RateLimit(msgspec.Struct):
    name: str = ""
    remaining: float | None = None
    reset_seconds: float | None = None


class LimitsEvent(msgspec.Struct):
    rate_limits: list[RateLimit]


class _Kind(msgspec.Struct):
    type: str


Event = SessionEvent | AudioDelta | TranscriptDelta | ErrorEvent | ResponseEvent | LimitsEvent

_EVENTS: dict[str, type[Event]] = {
    "session.created": SessionEvent,
    "session.updated": SessionEvent,
    "response.created": ResponseEvent,
    "response.done": ResponseEvent,
    "response.output_audio.delta": AudioDelta,
    "response.output_audio_transcript.delta": TranscriptDelta,
    "response.output_audio_transcript.done": TranscriptDelta,
    # The names before the API was generally available. Some servers still send them.
    "response.audio.delta": AudioDelta,
    "response.audio_transcript.delta": TranscriptDelta,
    "response.audio_transcript.done": TranscriptDelta,
    "rate_limits.updated": LimitsEvent,
    "error": ErrorEvent,
}


def read(message: bytes) -> tuple[str, Event | None]:
    """Return the kind of an event, and its fields, or None for an unused kind."""
    try:
        kind = msgspec.json.decode(message, type=_Kind).type
        type_ = _EVENTS.get(kind)
        return kind, None if type_ is None else msgspec.json.decode(message, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise EngineFailed("The provider sent an event that makes no sense.") from None


def estimate_tokens(pcm_bytes: int) -> float:
    """Return an estimate of the tokens of audio, for a provider that does not count them."""
    return float(ceil(pcm_bytes / _PCM_SECOND_BYTES * _AUDIO_TOKENS_A_SECOND))


def session_update(key: SessionKey, instructions: str, effort: str) -> str:
    session: dict[str, Any] = {
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": instructions,
        "audio": {
            "input": {"turn_detection": None},
            "output": {"format": _FORMAT, "voice": _voice(key.voice), "speed": key.speed},
        },
        "tools": [],
        "tool_choice": "none",
        "tracing": None,
    }
    if effort:
        session["reasoning"] = {"effort": effort}
    return _as_json({"type": "session.update", "event_id": "update", "session": session})


def response_create(number: int, key: SessionKey, text: str, instructions: str) -> str:
    """Return the request for one sentence, outside of any conversation, so other texts have no effect."""
    response = {
        "conversation": "none",
        "output_modalities": ["audio"],
        "metadata": {"sentence": str(number)},
        "instructions": instructions,
        "audio": {"output": {"voice": _voice(key.voice), "format": _FORMAT}},
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]},
        ],
    }
    return _as_json({"type": "response.create", "event_id": f"create-{number}", "response": response})


def response_cancel(number: int, response_id: str) -> str:
    return _as_json({"type": "response.cancel", "event_id": f"cancel-{number}", "response_id": response_id})


def _voice(id_: str) -> str | dict[str, str]:
    return {"id": id_} if id_.startswith("voice_") else id_


def _as_json(message: dict[str, Any]) -> str:
    return msgspec.json.encode(message).decode()
