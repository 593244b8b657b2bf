"""Check a request for speech field by field, as OpenAI's own service does."""

from __future__ import annotations

import base64
import io
import wave
from typing import Any, NamedTuple

import msgspec

from fakes.forms import form_of
from fakes.openai.habits import Habits

_LONGEST_INSTRUCTIONS = 4096
_LEAST_S = 1.0
_OF_FORM = ("reference_text", "consent")
_KNOWN = ("model", "input", "voice", "instructions", "response_format", "speed", "stream_format")


class RequestRefusal(Exception):
    """The refusal of a request: its HTTP status, and the fields of OpenAI's error envelope."""

    def __init__(
        self, status: int, message: str, code: str | None, *, kind: str = "", field: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.kind = kind or "invalid_request_error"
        self.field = field


class Body(NamedTuple):
    model: str
    input: str
    format: str
    speed: float
    stream_format: str


def checked(raw: bytes, content_type: str, habits: Habits) -> Body:
    """Return the fields of the request. Raises RequestRefusal at the first wrong field."""
    is_form = habits.recordings == "form" and content_type.startswith("multipart/")
    body = _form(content_type, raw) if is_form else _object(raw)
    has_recording = is_form or (habits.recordings == "json" and "ref_audio" in body)
    known = {*_KNOWN, *habits.more_fields, habits.voice_field} - ({"voice"} - {habits.voice_field})
    strange = [key for key in body if key not in known and not (is_form and key in _OF_FORM)]
    if strange and not habits.takes_unknown_fields:
        raise _wrong(strange[0], "unknown_parameter")
    for key in ("model", "input", *(() if has_recording else (habits.voice_field,))):
        if body.get(key) is None:
            raise _wrong(key, "missing_required_parameter")
    if body["model"] not in habits.models:
        raise RequestRefusal(
            habits.unknown_model, "The model does not exist.", "model_not_found", field="model"
        )
    if not has_recording:
        _check_voice(body[habits.voice_field], habits)
    elif not is_form:
        _check_wav("ref_audio", _data_of_url(body["ref_audio"]))
    _check_habits(body, habits, has_recording=has_recording)
    words = body.get("instructions", "")
    if not isinstance(words, str) or len(words) > _LONGEST_INSTRUCTIONS:
        raise _wrong("instructions", "invalid_value")
    return Body(
        body["model"],
        _text(body["input"], habits.longest),
        _one_of(body, "response_format", (habits.default_format, *habits.formats)),
        _speed(body, habits.speeds),
        "sse" if habits.streams_by_field and body.get("stream") is True else _stream_format(body),
    )


def _check_habits(body: dict[str, Any], habits: Habits, *, has_recording: bool) -> None:
    """Refuse what this kind of server refuses beside OpenAI's own rules."""
    if habits.languages and body.get("language", "Auto") not in habits.languages:
        raise _wrong("language", "unsupported_language")
    if habits.needs_recording and not (has_recording and body.get("ref_text")):
        raise _wrong("ref_audio" if not has_recording else "ref_text", "missing_required_parameter")
    if habits.streams_samples_only and "stream_format" in body:
        if body.get("response_format", "wav") not in ("pcm", "wav"):
            raise _wrong("response_format", "invalid_value")
        if body.get("speed", 1.0) != 1.0:
            raise _wrong("speed", "invalid_value")


def _form(content_type: str, raw: bytes) -> dict[str, Any]:
    form = form_of(content_type, raw)
    files = {file.field: file.data for file in form.files}
    _check_wav("reference_audio", files.get("reference_audio", b""))
    if not form.fields.get("consent"):
        raise _wrong("consent", "missing_required_parameter")
    return {**form.fields, "speed": float(form.fields.get("speed", "1"))}


def _data_of_url(url: object) -> bytes:
    head, _, data = url.partition(",") if isinstance(url, str) else ("", "", "")
    try:
        return base64.b64decode(data, validate=True) if head == "data:audio/wav;base64" else b""
    except ValueError:
        return b""


def _check_wav(field: str, data: bytes) -> None:
    try:
        with wave.open(io.BytesIO(data)) as recording:
            seconds = recording.getnframes() / recording.getframerate()
    except (wave.Error, EOFError):
        seconds = 0.0
    if seconds < _LEAST_S:
        raise _wrong(field, "invalid_audio")


def _object(raw: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.DecodeError:
        raise RequestRefusal(400, "This is not JSON.", "invalid_json") from None


def _text(value: object, longest: int) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _wrong("input", "invalid_value")
    if len(value) > longest:
        raise _wrong("input", "string_above_max_length")
    return value


def _check_voice(value: Any, habits: Habits) -> None:
    if (value.get("id") if isinstance(value, dict) else value) not in habits.voices:
        raise _wrong("voice", "voice_not_found")


def _speed(body: dict[str, Any], speeds: tuple[float, float]) -> float:
    speed = body.get("speed", 1.0)
    slowest, fastest = speeds
    if isinstance(speed, bool) or not isinstance(speed, (int, float)) or not slowest <= speed <= fastest:
        raise _wrong("speed", "invalid_value")
    return float(speed)


def _one_of(body: dict[str, Any], key: str, known: tuple[str, ...]) -> str:
    value = body.get(key, known[0])
    if value not in known:
        raise _wrong(key, "invalid_value")
    return str(value)


def _stream_format(body: dict[str, Any]) -> str:
    return _one_of(body, "stream_format", ("audio", "sse"))


def _wrong(field: str, code: str) -> RequestRefusal:
    return RequestRefusal(400, f"Invalid '{field}'.", code, field=field)
