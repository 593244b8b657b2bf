"""GET /v1/audio/voices[/{id}] and /v1/voices: one list under every key that a known client reads."""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from policies.language import base
from policies.routing import Voice
from proxy.catalogue import Catalogue
from proxy.endpoints.replies import reply
from proxy.errors import InvalidRequest, NotFound

_CREATED = 1_767_225_600


class VoiceEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A voice, under every name that a known client reads: its id is also `voice_id` and `value`."""

    id: str
    object: Literal["audio.voice"] = "audio.voice"
    name: str
    created_at: int = _CREATED
    type: Literal["catalogue"] = "catalogue"
    voice_id: str
    value: str
    label: str
    language: str | None
    gender: str | None
    engines: list[str]


class VoiceList(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[VoiceEntry]
    voices: list[VoiceEntry]
    has_more: bool = False


class VoiceNames(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `?format=names`: ids alone."""

    object: Literal["list"] = "list"
    data: list[str]
    voices: list[str]
    has_more: bool = False


class Voices:
    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def list_(self, request: Request) -> Response:
        query = request.query_params
        found = [
            voice
            for voice in self._catalogue.voices()
            if _speaks(voice, query.get("language")) and _is_of(voice, query.get("gender"))
        ]
        if query.get("format") == "names":
            ids = [voice.id for voice in found]
            return reply(VoiceNames(data=ids, voices=ids))
        if "format" in query:
            raise InvalidRequest("Invalid value for 'format': it must be names, or left out.", param="format")
        entries = [_entry(voice) for voice in found]
        return reply(VoiceList(data=entries, voices=entries))

    async def retrieve(self, request: Request) -> Response:
        wanted = request.path_params["id"]
        for voice in self._catalogue.voices():
            if voice.id == wanted:
                return reply(_entry(voice))
        raise NotFound(f"The voice '{wanted[:80]}' does not exist.", param="voice", code="voice_not_found")


def routes(catalogue: Catalogue) -> list[Route]:
    voices = Voices(catalogue)
    return [
        Route(path, endpoint)
        for root in ("/v1/audio/voices", "/v1/voices")
        for path, endpoint in ((root, voices.list_), (root + "/{id:path}", voices.retrieve))
    ]


def _is_of(voice: Voice, wanted: str | None) -> bool:
    return not wanted or (voice.gender or "").lower() == wanted.lower()


def _speaks(voice: Voice, wanted: str | None) -> bool:
    """`pt` finds `pt-BR`; a voice without a language speaks all of its engine's, so it is always found."""
    has = voice.language
    return not wanted or has is None or wanted.lower() in (has.lower(), base(has))


def _entry(voice: Voice) -> VoiceEntry:
    return VoiceEntry(
        id=voice.id,
        name=voice.name,
        voice_id=voice.id,
        value=voice.id,
        label=voice.name,
        language=voice.language,
        gender=voice.gender,
        engines=[binding.engine for binding in voice.bindings],
    )
