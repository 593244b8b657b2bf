"""The messages of the native socket: what a client sends, read once, and what it gets.

The shape is vLLM-Omni's, and what it lacks is added: docs/agents.md. A field's description is also the text
of its error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from proxy.audio.formats import OutputForm
from proxy.config.fields import missing_parameter
from proxy.errors import ErrorDetail, InvalidRequest
from proxy.features.sockets.utterances.values import (
    Interrupted,
    PieceEnd,
    PieceStart,
    UtteranceSettings,
    UtteranceUsage,
)
from proxy.http.replies import encode_json
from proxy.speech.speech_request import Defaults, parse_speech, raw_fields, read
from speech_engine.redacted import Redacted

_EXAMPLE = '{"type": "input.text", "text": "Hello. "}'
_SAMPLES = {b'"ssml"': b'"<speak>-</speak>"'}
"""A text to read the fields with, by the input_type. For any other type, it is "-". The texts come later."""
_UNSUPPORTED = {
    **dict.fromkeys(("background", "history", "provenance", "word_times"), (b"null", b"false")),
    "check": (b"null", b'"off"'),
    "stream_format": (b"null", b'"audio"'),
}
"""Fields of a speech request that no utterance has, with the values that ask for nothing."""


class ConfigMessage(Redacted, msgspec.Struct, frozen=True):
    """How the next utterances sound: the fields as they were sent, which `settings_of` reads."""

    fields: dict[str, msgspec.Raw]


class _Granularity(msgspec.Struct, frozen=True):
    split_granularity: Annotated[Literal["sentence", "none"], Meta(description="sentence or none")] = (
        "sentence"
    )


class TextMessage(Redacted, msgspec.Struct, frozen=True, tag_field="type", tag="input.text"):
    text: Annotated[str, Meta(description="a text")]


class DoneMessage(msgspec.Struct, frozen=True):
    """The text of the utterance has ended."""


class CancelMessage(msgspec.Struct, frozen=True):
    """The sound is to stop. `played_ms` is how much of the utterance the listener has heard. Players of
    browsers send fractions."""

    played_ms: (
        Annotated[float, Meta(ge=0, le=2**31, description="a number of milliseconds from 0")] | None
    ) = None


class CloseMessage(msgspec.Struct, frozen=True):
    """No more messages come."""


ClientMessage = ConfigMessage | TextMessage | DoneMessage | CancelMessage | CloseMessage

_MESSAGE_TYPES: Mapping[bytes, type[TextMessage | DoneMessage | CancelMessage | CloseMessage]] = {
    b'"input.text"': TextMessage,
    b'"input.done"': DoneMessage,
    b'"input.cancel"': CancelMessage,
    b'"session.close"': CloseMessage,
}
_CONFIG = b'"session.config"'
_TEXT = msgspec.json.Decoder(TextMessage)
_TYPES = b", ".join((_CONFIG, *_MESSAGE_TYPES)).decode().replace('"', "")


def read_message(sent: str | bytes) -> ClientMessage:
    """Read a message. Raises InvalidRequest, with the first field that is wrong."""
    if isinstance(sent, bytes):
        raise InvalidRequest(
            f"A message of a client is text, not binary: one JSON object such as {_EXAMPLE}.",
            code="invalid_message",
        )
    with suppress(msgspec.MsgspecError, UnicodeError, RecursionError):
        return _TEXT.decode(sent)  # a good text, by far the most messages: 6 µs less
    fields = _fields(sent)
    if (type_ := bytes(fields.pop("type", b""))) == _CONFIG:
        return ConfigMessage(fields)
    if (plain_type := _MESSAGE_TYPES.get(type_)) is not None:
        known = fields.keys() & {*plain_type.__struct_fields__}
        return read(plain_type, {name: _value(fields[name]) for name in known})
    if not type_:
        raise missing_parameter("type", f", one of {_TYPES}.")
    raise InvalidRequest(f"Invalid value for 'type': it must be one of {_TYPES}.", param="type")


def _fields(sent: str) -> dict[str, msgspec.Raw]:
    try:
        return raw_fields(sent.encode())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise InvalidRequest(
            f"We could not parse your message. It must be one JSON object such as {_EXAMPLE}, and no half "
            "of a surrogate pair may stand alone in it.",
            code="invalid_json",
        ) from None


def _value(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return raw  # no field takes it, so the error names the field


def settings_of(
    config: ConfigMessage, defaults: Defaults, client_fields: Callable[[], frozenset[str]]
) -> UtteranceSettings:
    """Return the settings of the next utterances. Raises InvalidRequest, with the first field that is wrong.
    `defaults` and `client_fields` are as in `parse_speech`."""
    fields = dict(config.fields)
    for name, harmless in _UNSUPPORTED.items():
        if bytes(fields.pop(name, b"null")) not in harmless:
            raise InvalidRequest(
                f"'{name}' has no effect on a socket: leave it out, or send the text to POST "
                "/v1/audio/speech.",
                param=name,
                code="unsupported_value",
            )
    split = fields.pop("split_granularity", None)
    granularity = read(_Granularity, {} if split is None else {"split_granularity": _value(split)})
    kind = bytes(fields.get("input_type", b""))
    fields["input"] = msgspec.Raw(_SAMPLES.get(kind, b'"-"'))
    if bytes(fields.get("response_format", b"null")) == b"null":
        fields["response_format"] = msgspec.Raw(b'"pcm"')
    request = parse_speech(encode_json(fields), defaults, client_fields)
    if request.answer == "json":
        raise InvalidRequest(
            "'response_format' cannot be json on a socket. Take pcm.", param="response_format"
        )
    splits = granularity.split_granularity == "sentence"
    return UtteranceSettings.of(request, splits=splits, is_ssml=kind in _SAMPLES)


CancelReason = Literal["client_cancel", "server_shutdown", "too_many_errors"]


class AudioStartMessage(Redacted, msgspec.Struct, frozen=True, kw_only=True, tag="audio.start"):
    """A piece begins. `start_ms` is its place in the utterance, and `request_id` that of its row in usage."""

    utterance_index: int
    sentence_index: int
    sentence_text: str
    format: str
    sample_rate: int
    request_id: str
    start_ms: int
    substitute: str | UnsetType = UNSET
    voice_base: str | UnsetType = UNSET


def start_message(start: PieceStart, index: int, form: OutputForm) -> AudioStartMessage:
    return AudioStartMessage(
        utterance_index=index,
        sentence_index=start.number,
        sentence_text=start.text,
        format=form.format,
        sample_rate=form.sample_rate_hz,
        request_id=start.request_id,
        start_ms=start.start_ms,
        substitute=start.substitute or UNSET,
        voice_base=start.voice_base or UNSET,
    )


class AudioDoneMessage(msgspec.Struct, frozen=True, kw_only=True, tag="audio.done"):
    utterance_index: int
    sentence_index: int
    total_bytes: int
    error: bool


def end_message(end: PieceEnd, index: int) -> AudioDoneMessage:
    return AudioDoneMessage(
        utterance_index=index,
        sentence_index=end.number,
        total_bytes=end.bytes,
        error=end.failure is not None,
    )


class SessionDoneMessage(msgspec.Struct, frozen=True, kw_only=True, tag="session.done"):
    """The utterance has ended. No local ears have heard it."""

    utterance_index: int
    total_sentences: int
    usage: UtteranceUsage
    check: Literal["unchecked"] = "unchecked"


class AudioCancelledMessage(Redacted, msgspec.Struct, frozen=True, kw_only=True, tag="audio.cancelled"):
    """The utterance was interrupted. Both texts are as they were sent."""

    utterance_index: int
    sentence_index: int = 0
    reason: CancelReason
    text_spoken: str = ""
    text_remaining: str = ""
    sent_ms: int = 0
    usage: UtteranceUsage = UtteranceUsage()


def cancelled_message(
    interrupted: Interrupted, index: int, reason: CancelReason, waited: str
) -> AudioCancelledMessage:
    """Return the message of an interruption. `waited` is the text of which nothing was spoken."""
    return AudioCancelledMessage(
        utterance_index=index,
        sentence_index=interrupted.piece,
        reason=reason,
        text_spoken=interrupted.text_spoken,
        text_remaining=interrupted.text_remaining + waited,
        sent_ms=interrupted.sent_ms,
        usage=interrupted.usage,
    )


class ErrorMessage(msgspec.Struct, frozen=True, tag="error"):
    error: ErrorDetail
    utterance_index: int | UnsetType = UNSET


ServerMessage = (
    AudioStartMessage | AudioDoneMessage | SessionDoneMessage | AudioCancelledMessage | ErrorMessage
)


def as_text(message: ServerMessage) -> str:
    return encode_json(message).decode()
