"""The refusals of ElevenLabs: bodies with a `code`, a `status` or a list of fields, and the class of
error for each refusal.

The HTTP status alone says little. The same 400 or 401 can mean a wrong key, a used-up plan or a
deleted voice. So `code` decides, else the older `status`, else the HTTP status.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from speech_engine import cloud, errors

MISSING_PERMISSIONS = "missing_permissions"
"""The name of the refusal if the key is valid but lacks this permission. The key may still speak."""


class NoSuchPath(errors.UnsupportedRequest):
    """Raised if the address itself does not exist, for any voice and model."""


_BY_NAME: dict[str, type[errors.EngineError]] = {
    "invalid_api_key": errors.EngineUnauthorized,
    MISSING_PERMISSIONS: errors.EngineUnauthorized,
    "quota_exceeded": errors.EngineExhausted,
    "voice_limit_reached": errors.NoCloneRoom,
    "voice_not_found": errors.VoiceNotFound,
    # The list of models is out of date, and the engine reads it again.
    "model_not_found": errors.UnsupportedRequest,
    "max_character_limit_exceeded": errors.UnsupportedText,
    "text_too_long": errors.UnsupportedText,
    "invalid_parameters": errors.UnsupportedText,
    "unsupported_language": errors.UnsupportedLanguage,
    "concurrent_limit_exceeded": errors.EngineLimited,
    "too_many_concurrent_requests": errors.EngineLimited,
    "rate_limit_exceeded": errors.EngineLimited,
    "system_busy": errors.EngineLimited,
}
_BY_STATUS: dict[int, type[errors.EngineError]] = {
    **cloud.STATUSES,
    **dict.fromkeys((400, 413, 422), errors.UnsupportedText),
    403: errors.EngineForbidden,
    404: errors.UnsupportedRequest,
}
NOT_TAKEN = "ElevenLabs does not take this request."
_SENTENCES: dict[type[errors.EngineError], str] = {
    errors.EngineUnauthorized: "ElevenLabs does not accept the key, or it lacks a permission.",
    errors.EngineForbidden: "ElevenLabs does not let the key do this.",
    errors.EngineExhausted: "The ElevenLabs account has nothing left.",
    errors.NoCloneRoom: "The ElevenLabs account has no room for another voice.",
    errors.EngineLimited: "ElevenLabs allows no more requests just now.",
    errors.EngineStumbled: "ElevenLabs failed for a moment.",
    errors.EngineTimeout: "ElevenLabs ran out of time.",
    NoSuchPath: "ElevenLabs has nothing at this address.",
    errors.EngineFailed: "ElevenLabs did not do what it was asked.",
    errors.UnsupportedRequest: NOT_TAKEN,
    errors.VoiceNotFound: "ElevenLabs has no such voice.",
    errors.UnsupportedText: "ElevenLabs does not take this text with these parameters.",
    errors.UnusableSample: "ElevenLabs does not take this recording.",
    errors.UnsupportedLanguage: "This ElevenLabs model does not speak the language.",
}
_NAME = re.compile(r"[a-z0-9_]{1,64}")


class Refusal(msgspec.Struct, frozen=True):
    """The names in the body of a refusal. If the body has no `code` or `status`, that field is empty.

    The prose of the body is dropped, because it may quote the text.
    """

    code: str = ""
    status: str = ""
    param: str = ""

    @property
    def name(self) -> str:
        return self.code or self.status


def read_refusal(body: bytes) -> Refusal:
    """Read a refusal. If the body is no JSON (a gateway's page), the refusal has no names.

    This never raises.
    """
    reply = cloud.refusal_of(body)
    return refusal_of_detail(reply.get("detail") if isinstance(reply, dict) else None)


def refusal_of_detail(detail: Any) -> Refusal:
    match detail:
        case {**names}:
            return Refusal(_word(names.get("code")), _word(names.get("status")), _word(names.get("param")))
        case [{"loc": [*_, str(param)]}, *_]:
            return Refusal("invalid_parameters", param=_word(param))
    return Refusal()


def error_of_refusal(refusal: Refusal, http_status: int, headers: Mapping[str, str]) -> errors.EngineError:
    """Return the error to raise.

    Its detail has the names that an operator can look up. The provider's prose is not in the message, and
    not in the detail.
    """
    about = f"HTTP {http_status}" + (f", {refusal.name}" if refusal.name else "")
    return cloud.refusal(_error_class(refusal, http_status), _SENTENCES, http_status, headers, about)


def _error_class(refusal: Refusal, http_status: int) -> type[errors.EngineError]:
    named = _BY_NAME.get(refusal.code) or _BY_NAME.get(refusal.status)
    if named is errors.UnsupportedText and refusal.param == "language_code":
        return errors.UnsupportedLanguage
    # Which names it has for a recording that is of no use is not documented.
    is_of_audio = refusal.param == "audio" or "audio" in refusal.name.split("_")
    if is_of_audio and (named or _BY_STATUS.get(http_status)) is errors.UnsupportedText:
        return errors.UnusableSample
    if named is not None:
        return named
    if http_status == 404 and not refusal.name:
        return NoSuchPath
    return _BY_STATUS.get(http_status, errors.EngineStumbled if http_status >= 500 else errors.EngineFailed)


def _word(value: Any) -> str:
    return value if isinstance(value, str) and _NAME.fullmatch(value) else ""
