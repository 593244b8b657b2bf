"""/v1/audio/voices and /v1/voices: the list, under every key that a known client reads; a search by
description; and the casts that an account saves and deletes."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from policies import matching
from policies.matching import Match
from policies.routing import Voice
from proxy.access.admission import Plans
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.known_voices import KnownVoices
from proxy.catalogue.library import voice_of
from proxy.catalogue.library_editor import LibraryEditor, not_own
from proxy.errors import Conflict, InvalidRequest, NotAllowed, NotFound, UnsupportedMediaType
from proxy.http.body import BODY_FAILURES, Name, ReasonText, Tags, body
from proxy.http.endpoint import Endpoint, Query, json
from proxy.http.replies import reply
from proxy.storage import voices as saved

_CREATED = 1_767_225_600
_MOST_DESCRIBED = 500
_QUERIES = (
    Query("language", "Only voices of this language: `pt` finds `pt-BR` too."),
    Query("gender", "Only voices of this gender."),
    Query("describe", "Only voices that match this description, the best first: `warm older woman, Thai`."),
    Query("format", "`names` gives ids alone.", ("names",)),
)

Cast = Annotated[
    dict[str, str], Meta(description='an object of names and voices, such as {"Ana": "nova", "Ben": "onyx"}')
]


class NewVoice(msgspec.Struct, frozen=True, kw_only=True):
    """A cast to be saved: who speaks with which voice. It is found by its description and tags."""

    name: Name
    cast: Cast
    description: ReasonText = ""
    tags: Tags = ()

    @property
    def saved(self) -> saved.NewCast:
        return saved.NewCast(name=self.name, members=self.cast, tags=self.tags, description=self.description)


class VoiceEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A voice, under every name that a known client reads: its id is also `voice_id` and `value`. `cast` says
    who speaks with which voice, if it is a cast."""

    id: str
    object: Literal["audio.voice"] = "audio.voice"
    name: str
    created_at: int = _CREATED
    type: Literal["catalogue", "cast"] = "catalogue"
    voice_id: str
    value: str
    label: str
    language: str | None
    gender: str | None
    age: str | None
    tags: list[str]
    description: str
    cast: dict[str, str] | None
    engines: list[str]


class MatchedVoice(VoiceEntry, frozen=True, kw_only=True):
    """A voice that a description found. `score` is at most 1; `reasons` says what is known of the voice."""

    score: float
    reasons: list[str]


class VoiceList(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[VoiceEntry]
    voices: list[VoiceEntry]
    has_more: bool = False


class VoiceMatches(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `?describe=`: the best first."""

    object: Literal["list"] = "list"
    data: list[MatchedVoice]
    voices: list[MatchedVoice]
    has_more: bool = False


class VoiceNames(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `?format=names`: ids alone."""

    object: Literal["list"] = "list"
    data: list[str]
    voices: list[str]
    has_more: bool = False


class DeletedVoice(msgspec.Struct, frozen=True, kw_only=True):
    """It is gone."""

    object: Literal["audio.voice.deleted"] = "audio.voice.deleted"
    id: str
    deleted: bool = True


class Voices:
    def __init__(self, catalogue: Catalogue, library_editor: LibraryEditor, plans: Plans) -> None:
        self._catalogue = catalogue
        self._library_editor = library_editor
        self._plans = plans

    async def list_(self, request: Request) -> Response:
        query = request.query_params
        if query.get("format") not in (None, "names"):
            raise InvalidRequest("Invalid value for 'format': it must be names, or left out.", param="format")
        known = await self._known(request)
        tag = query.get("language")
        found = known.in_language(tag) if tag else known.voices
        found = [voice for voice in found if _is_of(voice, query.get("gender"))]
        matches = None
        if "describe" in query:
            # This runs in a thread: an engine may list thousands of voices, each with a description.
            described = _described(query["describe"])
            matches = await asyncio.to_thread(matching.match, described, found, known.may_speak)
            found = [match.voice for match in matches]
        if "format" in query:
            ids = [voice.id for voice in found]
            return reply(VoiceNames(data=ids, voices=ids))
        if matches is not None:
            matched = [_matched(match, known) for match in matches]
            return reply(VoiceMatches(data=matched, voices=matched))
        entries = [_entry(voice, known) for voice in found]
        return reply(VoiceList(data=entries, voices=entries))

    async def retrieve(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        known = await self._known(request)
        return reply(_entry(known.find(id_), known))

    async def create(self, request: Request) -> Response:
        if request.headers.get("content-type", "").lower().startswith("multipart/"):
            raise UnsupportedMediaType(
                "This version does not clone voices from recordings (audio_sample, consent) yet. Send JSON, "
                'such as {"name": "dialogue", "cast": {"Ana": "nova"}}, to save a cast.'
            )
        new = await body(request, NewVoice)
        caller = request.scope["state"]["caller"]
        most = self._plans.terms(caller).voices
        record = await self._library_editor.add_cast(caller.account, new.saved, most=most)
        return reply(_entry(voice_of(record), await self._known(request)))

    async def delete(self, request: Request) -> Response:
        id_, account = request.path_params["id"], request.scope["state"]["caller"].account
        record = await self._library_editor.find_voice(account, id_)
        if record is None or record.account != account:
            # Raises NotFound if there is no such voice at all.
            (await self._known(request)).find(id_)
            raise not_own(id_)
        await self._library_editor.delete_voice(record)
        return reply(DeletedVoice(id=record.id))

    async def _known(self, request: Request) -> KnownVoices:
        """Return the voices that the caller may name. Without a caller, return the voices for everybody."""
        caller = request.scope["state"].get("caller")
        own = await self._library_editor.library.get("" if caller is None else caller.account)
        return KnownVoices(own, self._catalogue)


def routes(catalogue: Catalogue, library_editor: LibraryEditor, plans: Plans) -> list[Endpoint]:
    voices = Voices(catalogue, library_editor, plans)
    return [
        *_routes_below("/v1/audio/voices", "", voices),
        *_routes_below("/v1/voices", "_by_short_path", voices),
    ]


def _routes_below(root: str, suffix: str, voices: Voices) -> list[Endpoint]:
    return [
        Endpoint(
            "GET",
            root,
            voices.list_,
            f"list_voices{suffix}",
            "All voices, the account's own first",
            json(VoiceList, VoiceMatches, VoiceNames),
            access="catalogue",
            queries=_QUERIES,
            failures=(InvalidRequest,),
            pace="list",
        ),
        Endpoint(
            "POST",
            root,
            voices.create,
            f"create_voice{suffix}",
            "Save a cast as a voice of the account's own",
            json(VoiceEntry),
            body=NewVoice,
            failures=(*BODY_FAILURES, NotAllowed, Conflict, UnsupportedMediaType),
        ),
        Endpoint(
            "GET",
            f"{root}/{{id:path}}",
            voices.retrieve,
            f"get_voice{suffix}",
            "One voice",
            json(VoiceEntry),
            failures=(NotFound,),
        ),
        Endpoint(
            "DELETE",
            f"{root}/{{id:path}}",
            voices.delete,
            f"delete_voice{suffix}",
            "Delete a voice of the account's own",
            json(DeletedVoice),
            failures=(NotFound,),
        ),
    ]


def _described(text: str) -> str:
    if not text.strip() or len(text) > _MOST_DESCRIBED:
        raise InvalidRequest(
            f"Invalid value for 'describe': it must be a text of 1 to {_MOST_DESCRIBED} characters.",
            param="describe",
        )
    return text


def _is_of(voice: Voice, gender: str | None) -> bool:
    return not gender or (voice.gender or "").lower() == gender.lower()


def _entry(voice: Voice, known: KnownVoices) -> VoiceEntry:
    return VoiceEntry(
        id=voice.id,
        name=voice.name,
        created_at=_CREATED if voice.created is None else voice.created // 1_000_000,
        type="cast" if voice.cast else "catalogue",
        voice_id=voice.id,
        value=voice.id,
        label=voice.name,
        language=voice.language,
        gender=voice.gender,
        age=voice.age,
        tags=list(voice.tags),
        description=voice.description,
        cast=dict(voice.cast) or None,
        engines=known.engines(voice),
    )


def _matched(match: Match, known: KnownVoices) -> MatchedVoice:
    plain = msgspec.structs.asdict(_entry(match.voice, known))
    return MatchedVoice(**plain, score=match.score, reasons=list(match.reasons))
