"""What ElevenLabs says when it says no: four shapes of one body, and which class of error each of them is.

Its HTTP status alone says little: the same 400 or 401 stands for a wrong key, a used-up plan and a voice
that is gone. So `code` decides, else the older `status`, else the HTTP status.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from speech_engine.errors import (
    EngineError,
    EngineExhausted,
    EngineFailed,
    EngineLimited,
    EngineStumbled,
    EngineTimeout,
    EngineUnauthorized,
    UnsupportedLanguage,
    UnsupportedText,
    VoiceNotFound,
)

MISSING_PERMISSIONS = "missing_permissions"
"""The key is good, and its owner has not allowed it this: it may be allowed to speak all the same."""


class NoSuchPath(EngineFailed):
    """Nobody lives at the address itself, whatever voice or model was asked for there."""


_BY_NAME: dict[str, type[EngineError]] = {
    "invalid_api_key": EngineUnauthorized,
    MISSING_PERMISSIONS: EngineUnauthorized,
    "quota_exceeded": EngineExhausted,
    "voice_limit_reached": EngineExhausted,
    "voice_not_found": VoiceNotFound,
    # No fault of the request's: the list of models is out of date, and is asked for again.
    "model_not_found": EngineFailed,
    "max_character_limit_exceeded": UnsupportedText,
    "text_too_long": UnsupportedText,
    "invalid_parameters": UnsupportedText,
    "unsupported_language": UnsupportedLanguage,
    "concurrent_limit_exceeded": EngineLimited,
    "too_many_concurrent_requests": EngineLimited,
    "rate_limit_exceeded": EngineLimited,
    "system_busy": EngineLimited,
}
_BY_STATUS: dict[int, type[EngineError]] = {
    400: UnsupportedText,
    401: EngineUnauthorized,
    402: EngineExhausted,
    403: EngineUnauthorized,
    # How far the work was, and whether it is billed, nobody says: it is not asked for again.
    408: EngineTimeout,
    413: UnsupportedText,
    422: UnsupportedText,
    429: EngineLimited,
    504: EngineTimeout,
}
_SENTENCES: dict[type[EngineError], str] = {
    EngineUnauthorized: "ElevenLabs does not accept the key, or does not let it do this",
    EngineExhausted: "The ElevenLabs account has nothing left",
    EngineLimited: "ElevenLabs allows no more requests just now",
    EngineStumbled: "ElevenLabs failed for a moment",
    EngineTimeout: "ElevenLabs ran out of time",
    NoSuchPath: "ElevenLabs has nothing at this address",
    EngineFailed: "ElevenLabs did not do what it was asked",
    VoiceNotFound: "ElevenLabs has no such voice",
    UnsupportedText: "ElevenLabs does not take this text with these parameters",
    UnsupportedLanguage: "This ElevenLabs model does not speak the language",
}
_NAME = re.compile(r"[a-z0-9_]{1,64}")
_SECONDS = re.compile(r"\d{1,6}(\.\d+)?")


class Refusal(msgspec.Struct, frozen=True):
    """What a body says by names; its prose is not kept, since it may quote the text. `code` or `status` is
    empty where there is none."""

    code: str = ""
    status: str = ""
    param: str = ""

    @property
    def name(self) -> str:
        return self.code or self.status


def read(body: bytes) -> Refusal:
    """Never raises: a body that is no JSON (a gateway's page) is a refusal without names."""
    try:
        decoded = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return Refusal()
    return told(decoded.get("detail") if isinstance(decoded, dict) else None)


def told(detail: Any) -> Refusal:
    match detail:
        case {**names}:
            return Refusal(_word(names.get("code")), _word(names.get("status")), _word(names.get("param")))
        case [{"loc": [*_, str(param)]}, *_]:
            return Refusal("invalid_parameters", param=_word(param))
    return Refusal()


def error(refusal: Refusal, http_status: int, headers: Mapping[str, str]) -> EngineError:
    """The error to raise, with what an operator can look up and nothing that the provider wrote in prose."""
    kind = _kind(refusal, http_status)
    about = f"HTTP {http_status}" + (f", {refusal.name}" if refusal.name else "")
    wait = headers.get("retry-after", "")
    return kind(
        f"{_SENTENCES[kind]} ({about}).", retry_after_s=float(wait) if _SECONDS.fullmatch(wait) else None
    )


def _kind(refusal: Refusal, http_status: int) -> type[EngineError]:
    named = _BY_NAME.get(refusal.code) or _BY_NAME.get(refusal.status)
    if named is UnsupportedText and refusal.param == "language_code":
        return UnsupportedLanguage
    if named is not None:
        return named
    if http_status == 404 and not refusal.name:
        return NoSuchPath
    return _BY_STATUS.get(http_status, EngineStumbled if http_status >= 500 else EngineFailed)


def _word(value: Any) -> str:
    return value if isinstance(value, str) and _NAME.fullmatch(value) else ""
