"""What a server says it has: lists of models and voices, in the shapes that are about."""

from __future__ import annotations

from typing import Any

import msgspec

from speech_engine import EngineFailed, VoiceInfo

BUILT_IN = (
    *("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable"),
    *("marin", "nova", "onyx", "sage", "shimmer", "verse"),
)
"""OpenAI's own thirteen, which it lists nowhere."""


def decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise EngineFailed("The provider's list is not JSON.") from None


def model_ids(found: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(id_ for entry in _entries(found, "data", "models") if (id_ := _id(entry))))


def for_speech(ids: tuple[str, ...]) -> tuple[str, ...]:
    """Of a list of models for everything, those that say what they are for; all of them where none does."""
    return tuple(id_ for id_ in ids if "tts" in id_.lower()) or ids


def voices(found: Any) -> tuple[VoiceInfo, ...]:
    listed = {
        id_: VoiceInfo(
            id=id_,
            name=_told(entry, "name") or id_,
            language=_told(entry, "language"),
            gender=_told(entry, "gender"),
        )
        for entry in _entries(found, "voices", "data")
        if (id_ := _id(entry))
    }
    uploaded = {id_: named(id_) for entry in _entries(found, "uploaded_voices") if (id_ := _id(entry))}
    return tuple({**listed, **uploaded}.values())


def named(id_: str) -> VoiceInfo:
    return VoiceInfo(id=id_, name=id_)


def _entries(found: Any, *keys: str) -> list[Any]:
    if isinstance(found, list):
        return found
    for key in keys:
        if isinstance(found, dict) and isinstance(inner := found.get(key), list):
            return inner
    return []


def _id(entry: Any) -> str:
    """Blank space around it would make a name that no request can have."""
    if isinstance(entry, str):
        return entry.strip()
    return next((id_ for key in ("id", "voice_id", "name") if (id_ := _told(entry, key))), "")


def _told(entry: Any, key: str) -> str | None:
    value = entry.get(key) if isinstance(entry, dict) else None
    return value.strip() or None if isinstance(value, str) else None
