"""Turn MiniMax's refusals into our errors.

Its own codes come with HTTP 200; its gateways answer with other statuses. MiniMax's messages are not passed
on, because they may quote the text.
"""

from __future__ import annotations

from collections.abc import Mapping

from plugins.minimax.wire import BaseResp
from speech_engine import cloud, errors

_INVALID = 2013

_KEY = (errors.EngineUnauthorized, "MiniMax does not accept the key; look at the key and at base_url")
_CREDIT = (errors.EngineExhausted, "The MiniMax account has no credit left, or its plan is used up")
_PACE = (errors.EngineLimited, "MiniMax allows no more requests just now")
_FAILURE = (errors.EngineFailed, "MiniMax failed")
_STUMBLE = (errors.EngineStumbled, "MiniMax failed inside")
_REFUSAL = (errors.ContentRefused, "The provider's moderation refuses this text")
_REQUEST = (errors.UnsupportedRequest, "MiniMax finds the request invalid")
_VOICE = (errors.VoiceNotFound, "MiniMax has no such voice")

_BY_CODE: dict[int, tuple[type[errors.EngineError], str]] = {
    **dict.fromkeys((1000, 1013, 1024, 1033), _STUMBLE),
    1001: (errors.EngineTimeout, "MiniMax ran out of time"),
    **dict.fromkeys((1002, 1039, 1041, 2045), _PACE),
    **dict.fromkeys((1004, 2049), _KEY),
    **dict.fromkeys((1008, 2056), _CREDIT),
    **dict.fromkeys((1026, 1027), _REFUSAL),
    1042: (errors.UnsupportedText, "Invalid 'input': too many of its characters are invisible"),
    1043: (errors.UnusableSample, "The sample does not say what its transcript says"),
    1044: (errors.UnusableSample, "The sample and its prompt are not of the same speaker"),
    2037: (errors.UnusableSample, "The sample is too short or too long: 10 seconds to 5 minutes are needed"),
    2048: (errors.UnusableSample, "The prompt is too long: it must be below 8 seconds"),
    2038: (errors.EngineCannot, "The MiniMax account may not clone voices until it is verified"),
    2039: (errors.CloneNameUsed, "MiniMax already has a voice of this id"),
    **dict.fromkeys((2042, 20132), _VOICE),
}

_BY_STATUS: dict[int, tuple[type[errors.EngineError], str]] = {
    401: _KEY,
    402: _CREDIT,
    403: (errors.EngineForbidden, "MiniMax does not let the key do this"),
    **dict.fromkeys((400, 404, 413, 422), _REQUEST),
    429: _PACE,
    **dict.fromkeys((502, 503), (errors.EngineStumbled, "MiniMax cannot be reached behind its own gateway")),
    # A gateway that stops waiting does not know whether the work behind it is done and billed.
    **dict.fromkeys((408, 504), (errors.EngineTimeout, "MiniMax ran out of time")),
}


def error_of_code(base: BaseResp) -> errors.EngineError:
    kind, message = _BY_CODE.get(base.status_code, _FAILURE)
    if base.status_code == _INVALID:
        kind, message = _invalid(base.status_msg)
    return kind(f"{message}.", detail=f"code {base.status_code}")


def error_of_status(status: int, headers: Mapping[str, str]) -> errors.EngineError:
    kind, message = _BY_STATUS.get(status, _FAILURE)
    sentences = {cls: f"{sentence}." for cls, sentence in (_FAILURE, (kind, message))}
    return cloud.refusal(kind, sentences, status, headers, f"HTTP {status}")


def _invalid(message: str) -> tuple[type[errors.EngineError], str]:
    # MiniMax has one code for every wrong field. Before a request is sent, all is checked except the text and
    # its pause marks. So if the message does not name the text, the fault is ours.
    if "text" in message.lower():
        return (
            errors.UnsupportedText,
            "Invalid 'input': MiniMax cannot speak it as it is; look at its pause marks",
        )
    return _REQUEST
