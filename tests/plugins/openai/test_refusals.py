"""Every shape of "no" and the class it becomes, which decides who mends it and who is asked next."""

from typing import Any

import msgspec

from plugins.openai.refusals import error_in_place_of_audio, read_refusal, refusal
from speech_engine import (
    ContentRefused,
    EngineError,
    EngineExhausted,
    EngineFailed,
    EngineForbidden,
    EngineLimited,
    EngineStumbled,
    EngineTimeout,
    EngineUnauthorized,
    UnsupportedLanguage,
    UnsupportedRequest,
    UnsupportedText,
    VoiceNotFound,
)
from tests.tables import each_row

TEXT = "what was to be spoken"


def _openai(code: str | int | None, param: str | None = None, kind: str = "invalid_request_error") -> Any:
    return {"error": {"message": f"No: {TEXT}", "type": kind, "param": param, "code": code}}


def _checked(*places: str) -> Any:
    """OpenAI's own answer to wrong fields: neither `param` nor `code` names one."""
    faults = ", ".join(
        f"{{'type': 'enum', 'loc': ({place}), 'msg': 'Input should be ...', 'input': '{TEXT}'}}"
        for place in places
    )
    kind = "invalid_request_error"
    return {"error": {"message": f"[{faults}]", "type": kind, "param": None, "code": None}}


@each_row(
    ("status", "body", "cls"),
    [
        (400, _checked("'body', 'voice'"), VoiceNotFound),
        (400, _checked("'body', 'input'"), UnsupportedText),
        (400, _checked("'body', 'voice'", "'body', 'model'"), VoiceNotFound),
        (400, _checked("'body', 'response_format'"), UnsupportedRequest),
        (400, _checked("'query', 'voice'"), UnsupportedRequest),
        (400, {"error": {"message": "no: [{'type': 'enum', 'loc': ('body', 'voice')"}}, UnsupportedRequest),
        (400, {"error": {"message": ["'loc': ('body', 'voice')"]}}, UnsupportedRequest),
        (401, _openai("invalid_api_key"), EngineUnauthorized),
        (403, _openai("model_not_allowed"), EngineForbidden),
        (403, _openai("invalid_value", "input"), EngineForbidden),
        (403, _openai("invalid_api_key"), EngineUnauthorized),
        (403, _openai("insufficient_quota"), EngineExhausted),
        (403, _openai("content_policy_violation"), ContentRefused),
        (402, {}, EngineExhausted),
        (429, _openai("insufficient_quota", kind="insufficient_quota"), EngineExhausted),
        (429, _openai(None, kind="insufficient_quota"), EngineExhausted),
        (429, _openai("rate_limit_exceeded", kind="requests"), EngineLimited),
        (429, _openai("never heard of"), EngineLimited),
        (429, "<html>", EngineLimited),
        (400, _openai("voice_not_found", "voice"), VoiceNotFound),
        (400, _openai(None, "voice"), VoiceNotFound),
        (404, _openai("voice_not_found"), VoiceNotFound),
        (400, _openai("string_above_max_length", "input"), UnsupportedText),
        (413, _openai("invalid_value", "input"), UnsupportedText),
        (400, _openai("unsupported_language", "language"), UnsupportedLanguage),
        (400, _openai("content_policy_violation"), ContentRefused),
        (400, _openai("invalid_value", "response_format"), UnsupportedRequest),
        (400, _openai(400, None), UnsupportedRequest),
        (404, _openai("model_not_found", "model"), UnsupportedRequest),
        (404, "<html>", UnsupportedRequest),
        (422, {"detail": [{"loc": ["body", "voice"], "msg": "no"}]}, VoiceNotFound),
        (422, {"detail": [{"loc": ["body", "input"], "msg": "no"}]}, UnsupportedText),
        (422, {"detail": "no"}, UnsupportedRequest),
        (400, {"detail": {"error": "voice_not_found", "message": "no"}}, VoiceNotFound),
        (400, {"message": "no", "code": "voice_not_found"}, VoiceNotFound),
        (400, {"message": "no", "code": 400}, UnsupportedRequest),
        (408, {}, EngineTimeout),
        (500, _openai("internal_error", kind="server_error"), EngineFailed),
        (500, _openai("insufficient_quota"), EngineFailed),
        (502, "<html><h1>Bad Gateway</h1>", EngineStumbled),
        (503, _openai("engine_unavailable", kind="server_error"), EngineStumbled),
        (504, "", EngineTimeout),
        (418, [1, 2], EngineFailed),
        (302, "", EngineFailed),
    ],
)
def test_a_status_and_a_body_are_a_class(status: int, body: Any, cls: type[EngineError]) -> None:
    raw = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
    error = refusal(status, {}, raw)
    assert type(error) is cls
    assert str(status) in error.detail
    assert str(status) not in error.message
    assert TEXT not in error.reason


@each_row("code", [TEXT, "x" * 65, "a/b", "ä", ""])
def test_a_code_that_is_none_is_not_passed_on(code: str) -> None:
    assert refusal(500, {}, msgspec.json.encode(_openai(code, kind=""))).detail == "HTTP 500"


def test_a_code_is_passed_on_to_the_operator() -> None:
    body = msgspec.json.encode(_openai("model_not_found", "model"))
    assert refusal(404, {}, body).reason == (
        "The provider does not take this request (HTTP 404 model_not_found)."
    )


@each_row(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "9", "retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "9", "retry-after-ms": "soon"}, 9.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
    ],
)
def test_a_refusal_says_when_to_come_back(headers: dict[str, str], seconds: float | None) -> None:
    assert refusal(429, headers, b"").retry_after_s == seconds


@each_row(
    ("body", "cls"),
    [
        (_openai("insufficient_quota"), EngineExhausted),
        (_openai("content_refused"), ContentRefused),
        (_openai("server_error"), EngineFailed),
        ({"error": TEXT}, EngineFailed),
        (TEXT, EngineFailed),
    ],
)
def test_a_refusal_in_place_of_audio_says_as_much(body: Any, cls: type[EngineError]) -> None:
    error = error_in_place_of_audio(read_refusal(msgspec.json.encode(body)))
    assert type(error) is cls
    assert TEXT not in error.reason


@each_row(
    ("status", "media_type", "cls"),
    [
        (403, "text/html; charset=UTF-8", EngineFailed),
        (403, "application/json", EngineForbidden),
        (403, "", EngineForbidden),
        (401, "text/html", EngineUnauthorized),
        (400, "text/html", UnsupportedRequest),
    ],
)
def test_a_firewalls_page_says_nothing_of_the_key(
    status: int, media_type: str, cls: type[EngineError]
) -> None:
    assert type(refusal(status, {"content-type": media_type}, b"<html>")) is cls


def test_json_too_deep_to_be_read_tells_nothing() -> None:
    assert type(refusal(400, {}, b"[" * 100_000)) is UnsupportedRequest
