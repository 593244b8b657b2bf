"""A server's "no" in whatever shape it comes → the class that decides what is done about it.

None of its own words are passed on but the code: a message may quote what was to be spoken.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from speech_engine import (
    ContentRefused,
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

_CODES: dict[str, type[EngineError]] = {
    "invalid_api_key": EngineUnauthorized,
    "insufficient_quota": EngineExhausted,
    "billing_hard_limit_reached": EngineExhausted,
    "rate_limit_exceeded": EngineLimited,
    "voice_not_found": VoiceNotFound,
    "string_above_max_length": UnsupportedText,
    "text_too_long": UnsupportedText,
    "unsupported_text": UnsupportedText,
    "unsupported_language": UnsupportedLanguage,
    "content_policy_violation": ContentRefused,
    "content_refused": ContentRefused,
}
_FIELDS: dict[str, type[EngineError]] = {
    "voice": VoiceNotFound,
    "input": UnsupportedText,
    "language": UnsupportedLanguage,
}
_STATUSES: dict[int, type[EngineError]] = {
    401: EngineUnauthorized,
    402: EngineExhausted,
    403: EngineUnauthorized,
    408: EngineTimeout,
    429: EngineLimited,
    502: EngineStumbled,
    503: EngineStumbled,
    # Whoever waits at a gateway does not know how far the work behind it is, nor who pays for it.
    504: EngineTimeout,
}
_OF_THE_REQUEST = (400, 404, 413, 422)
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Told(NamedTuple):
    """What could be read out of a refusal."""

    code: str = ""
    field: str = ""

    @property
    def shown(self) -> str:
        """Codes are words of a closed list; anything that is not shaped like one could be the text."""
        return self.code if _CODE.fullmatch(self.code) else ""


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> EngineError:
    """The error for an answer whose status is not 200."""
    told = read(body)
    cls = _class(status, told)
    shown = f"{status} {told.shown}".strip()
    return cls(f"The provider answered {shown}.", retry_after_s=_retry_after_s(headers))


def in_band(told: Told) -> EngineError:
    """The error for one that came where audio should be: the request may have been served in part."""
    cls = _CODES.get(told.code, EngineFailed)
    shown = told.shown or "an error"
    return cls(f"The provider answered with {shown} in place of audio.")


def read(body: bytes) -> Told:
    """OpenAI's envelope, FastAPI's `detail`, a bare object; anything else tells nothing."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Told()
    return told_by(found)


def told_by(found: object) -> Told:
    if not isinstance(found, dict):
        return Told()
    inner = found.get("error", found.get("detail", found))
    if isinstance(inner, list):  # FastAPI's list of what is wrong with a body
        places = [each.get("loc") for each in inner if isinstance(each, dict)]
        named = next((place[-1] for place in places if isinstance(place, list) and place), "")
        return Told(field=_text(named))
    if not isinstance(inner, dict):
        return Told()
    codes = [_text(inner.get(key)) for key in ("code", "type", "error")]
    known = next((code for code in codes if code in _CODES), None)
    return Told(known or next(filter(None, codes), ""), _text(inner.get("param")))


def _class(status: int, told: Told) -> type[EngineError]:
    if status in _OF_THE_REQUEST:
        return _CODES.get(told.code) or _FIELDS.get(told.field) or EngineFailed
    if status == 429 and _CODES.get(told.code) is EngineExhausted:
        return EngineExhausted
    return _STATUSES.get(status, EngineFailed)


def _text(value: Any) -> str:
    """vLLM-Omni's codes are numbers."""
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    for name, factor in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * factor
        except ValueError:  # not there, or a date, which no server of this kind sends
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None
