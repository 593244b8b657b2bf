"""Read a server's lists of models and voices, in the shapes that servers use."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from plugins.openai.refusals import refusal_of_answer
from plugins.openai.server import ServerSettings
from speech_engine import HttpClient, VoiceInfo
from speech_engine.cloud import decoded, request

BUILT_IN = (
    *("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable"),
    *("marin", "nova", "onyx", "sage", "shimmer", "verse"),
)
"""OpenAI's own thirteen voices. OpenAI lists them nowhere."""


_LIST_S = 8.0
"""The longest wait for a list. A whole refresh has ten seconds."""
_NO_ACCESS = (403, 404, 405, 501)
"""The list does not exist, or this key may not read it. Some keys may only speak. A 403 for a list that the
key could read before is still a failure."""


class Lists:
    def __init__(self, settings: ServerSettings, http: HttpClient) -> None:
        self._settings = settings
        self._http = http
        self._readable_paths: set[str] = set()

    async def fetch_first(self, *paths: str) -> Any:
        """Return the first of these lists that the server has, or None if it has none."""
        for path in paths:
            question = request("GET", self._settings.url(path), self._settings.http_headers, _LIST_S)
            async with self._http.send(question) as answer:
                if answer.status == 200:
                    self._readable_paths.add(path)
                    return decoded(Any, await answer.read(), "The provider's list is not JSON.")
                if answer.status not in _NO_ACCESS or (answer.status == 403 and path in self._readable_paths):
                    raise await refusal_of_answer(answer)
        return None


def model_ids(answer: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(id_ for entry in _entries(answer, "data", "models") if (id_ := _id_of(entry))))


def shutdown_dates(answer: Any) -> dict[str, str]:
    """Return the last days of the models that a list gives, as OpenAI's does."""
    return {
        id_: day
        for entry in _entries(answer, "data", "models")
        if (id_ := _id_of(entry)) and (day := _text_at(entry, "shutdown_date"))
    }


def speech_models(ids: tuple[str, ...]) -> tuple[str, ...]:
    """Return the models whose names say that they speak, or all models if no name says so.

    A server may list its models for all purposes together.
    """
    return tuple(id_ for id_ in ids if "tts" in id_.lower()) or ids


def voices(answer: Any) -> tuple[VoiceInfo, ...]:
    by_id = {
        id_: VoiceInfo(
            id=id_,
            name=_text_at(entry, "name") or id_,
            language=_text_at(entry, "language") or _one_language(entry),
            gender=_text_at(entry, "gender"),
        )
        for entry in _entries(answer, "voices", "data", "items")
        if (id_ := _id_of(entry))
    }
    uploads = {
        id_: replace(voice_named(id_), is_cloned=True)
        for entry in _entries(answer if isinstance(answer, dict) else {}, "uploaded_voices")
        if (id_ := _id_of(entry))
    }
    return tuple({**by_id, **uploads}.values())


def voice_named(id_: str) -> VoiceInfo:
    return VoiceInfo(id=id_, name=id_)


def _entries(answer: Any, *keys: str) -> list[Any]:
    """Return the answer if it is a list, or else the list that it has under the first of these keys."""
    if isinstance(answer, list):
        return answer
    for key in keys:
        if isinstance(answer, dict) and isinstance(inner := answer.get(key), list):
            return inner
    return []


def _id_of(entry: Any) -> str:
    """Return the id without blanks around it. No request can name an id that has them."""
    if isinstance(entry, str):
        return entry.strip()
    return next((id_ for key in ("id", "voice_id", "name") if (id_ := _text_at(entry, key))), "")


def _one_language(entry: Any) -> str | None:
    """Return the language of a voice that has one, in a list such as Mistral's: `["en_gb"]`."""
    tags = entry.get("languages") if isinstance(entry, dict) else None
    only = tags[0] if isinstance(tags, list) and len(tags) == 1 else None
    return only.strip().replace("_", "-") or None if isinstance(only, str) else None


def _text_at(entry: Any, key: str) -> str | None:
    value = entry.get(key) if isinstance(entry, dict) else None
    return value.strip() or None if isinstance(value, str) else None
