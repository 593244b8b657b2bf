"""Turn a server's refusal into an error class, which decides what happens next.

The message of a refusal is not passed on, because it may quote the text. Its code is for the operator alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from speech_engine import HttpAnswer, cloud, errors

_CODES: dict[str, type[errors.EngineError]] = {
    "invalid_api_key": errors.EngineUnauthorized,
    "insufficient_quota": errors.EngineExhausted,
    "billing_hard_limit_reached": errors.EngineExhausted,
    "rate_limit_exceeded": errors.EngineLimited,
    "voice_not_found": errors.VoiceNotFound,
    "string_above_max_length": errors.UnsupportedText,
    "text_too_long": errors.UnsupportedText,
    "unsupported_text": errors.UnsupportedText,
    "unsupported_language": errors.UnsupportedLanguage,
    "content_policy_violation": errors.ContentRefused,
    "content_refused": errors.ContentRefused,
    "audio_too_short": errors.UnusableSample,
}
_FIELDS: dict[str, type[errors.EngineError]] = {
    "voice": errors.VoiceNotFound,
    "input": errors.UnsupportedText,
    "language": errors.UnsupportedLanguage,
    "file": errors.UnusableSample,
    "reference_audio": errors.UnusableSample,
    "reference_text": errors.UnusableSample,
    "ref_audio": errors.UnusableSample,
    "ref_text": errors.UnusableSample,
}
_STATUSES: dict[int, type[errors.EngineError]] = {
    **cloud.STATUSES,
    502: errors.EngineStumbled,
    503: errors.EngineStumbled,
}
_SENTENCES: dict[type[errors.EngineError], str] = {
    errors.EngineUnauthorized: "The provider does not accept the key.",
    errors.EngineForbidden: "The provider does not let the key do this.",
    errors.EngineExhausted: "The provider's account has nothing left.",
    errors.EngineLimited: "The provider allows no more requests just now.",
    errors.EngineStumbled: "The provider failed for a moment.",
    errors.EngineTimeout: "The provider ran out of time.",
    errors.EngineFailed: "The provider did not do what it was asked.",
    errors.UnsupportedRequest: "The provider does not take this request.",
    errors.VoiceNotFound: "The provider has no such voice.",
    errors.UnsupportedText: "The provider does not take this text.",
    errors.UnusableSample: "The provider cannot use this recording.",
    errors.UnsupportedLanguage: "The provider's model does not speak the language.",
    errors.ContentRefused: "The provider's moderation refuses this text.",
}
_REQUEST_STATUSES = (400, 404, 413, 422)
# OpenAI's own checks name the field in the message alone, before anything that was sent.
_CHECK_MESSAGE = re.compile(r"\[\{'type': '[a-z_.]{1,64}', 'loc': \('body', '([a-z_]{1,64})'")
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class RefusalDetail(NamedTuple):
    """The code and the field that a refusal names. Either may be empty."""

    code: str = ""
    field: str = ""

    @property
    def loggable_code(self) -> str:
        """Return the code if it is shaped like a code. Anything else could be a part of the text."""
        return self.code if _CODE.fullmatch(self.code) else ""


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> errors.EngineError:
    """Return the error for an answer whose status is not 200."""
    detail = read_refusal(body)
    shown = f"HTTP {status} {detail.loggable_code}".strip()
    return cloud.refusal(_error_class(status, detail), _SENTENCES, status, headers, shown)


async def refusal_of_answer(answer: HttpAnswer) -> errors.EngineError:
    return refusal(answer.status, answer.headers, await cloud.refusal_body(answer))


def error_in_place_of_audio(detail: RefusalDetail) -> errors.EngineError:
    """Return the error for a refusal in place of audio. The server may have done a part of the work."""
    cls = _CODES.get(detail.code, errors.EngineFailed)
    shown = detail.loggable_code or "an error"
    return cls(_SENTENCES[cls], detail=f"{shown} in place of audio")


def read_refusal(body: bytes) -> RefusalDetail:
    """Read the detail from a body: OpenAI's envelope, FastAPI's `detail`, or a bare object.

    Any other body gives an empty detail.
    """
    return detail_of(cloud.refusal_of(body))


def detail_of(answer: object) -> RefusalDetail:
    if not isinstance(answer, dict):
        return RefusalDetail()
    inner = answer.get("error", answer.get("detail", answer))
    if isinstance(inner, list):  # FastAPI's list of the errors in a body
        places = [each.get("loc") for each in inner if isinstance(each, dict)]
        named = next((place[-1] for place in places if isinstance(place, list) and place), "")
        return RefusalDetail(field=_text(named))
    if not isinstance(inner, dict):
        return RefusalDetail()
    codes = [_text(inner.get(key)) for key in ("code", "type", "error")]
    known = next((code for code in codes if code in _CODES), None)
    checked = _CHECK_MESSAGE.match(_text(inner.get("message")))
    field = _text(inner.get("param")) or (checked[1] if checked else "")
    return RefusalDetail(known or next(filter(None, codes), ""), field)


def _error_class(status: int, detail: RefusalDetail) -> type[errors.EngineError]:
    if status in _REQUEST_STATUSES:
        return _CODES.get(detail.code) or _FIELDS.get(detail.field) or errors.UnsupportedRequest
    if status == 429 and _CODES.get(detail.code) is errors.EngineExhausted:
        return errors.EngineExhausted
    if status == 403:
        return _CODES.get(detail.code, errors.EngineForbidden)
    return _STATUSES.get(status, errors.EngineFailed)


def _text(value: Any) -> str:
    """Return a code as text. The codes of vLLM-Omni are numbers."""
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
