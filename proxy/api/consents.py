"""/v1/audio/voice_consents: speakers agree that voices are made of their speech, as in OpenAI's API."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from policies import consent_phrases
from proxy.access.callers import Caller
from proxy.api.voice_bodies import MOST_SAMPLE_BYTES, form_values
from proxy.catalogue.catalogue import Catalogue
from proxy.config.consent import ConsentSection
from proxy.errors import (
    Conflict,
    DecoderBusy,
    InvalidRequest,
    NotAllowed,
    NotFound,
)
from proxy.http.body import BODY_FAILURES, EngineNames, LanguageTag, Name, body
from proxy.http.endpoint import Endpoint, Query, json
from proxy.http.form import read_form
from proxy.http.lists import query_limit
from proxy.http.replies import reply
from proxy.speech import speech_request
from proxy.storage import consents
from proxy.storage.rows import NEWEST
from proxy.voices.consent_keeper import ConsentKeeper, NewConsent, OpenedConsent, check_providers

_ROOT = "/v1/audio/voice_consents"
_USUAL = 20
_MOST = 100
_PAGE = (
    Query("limit", f"How many, 1 to {_MOST}. Without it, {_USUAL}."),
    Query("after", "The `last_id` of the page before."),
)

Statement = Annotated[str, Meta(min_length=1, max_length=2000, description="a text of 1 to 2000 characters")]


class ConsentBody(msgspec.Struct, frozen=True, kw_only=True):
    """A consent to be kept. It has a recording of the phrase, in a form, or a `statement`: who agreed to
    what, and where the operator can see it. Without `providers`, every engine may receive the voice."""

    name: Name
    language: LanguageTag
    statement: Statement | None = None
    providers: EngineNames | None = None

    def __repr__(self) -> str:
        return "<ConsentBody>"


class ConsentName(msgspec.Struct, frozen=True, kw_only=True):
    """The new name of a consent."""

    name: Name


class ConsentEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A consent. It was brought by the key `made_by`. `words_checked` is false: nobody has checked that the
    recording says the phrase."""

    object: Literal["audio.voice_consent"] = "audio.voice_consent"
    id: str
    name: str
    language: str
    created_at: int
    kind: Literal["recording", "statement"]
    statement: str | None
    digest: str | None
    duration_seconds: float | None
    providers: list[str] | None
    made_by: str
    words_checked: bool = False


class ConsentList(msgspec.Struct, frozen=True, kw_only=True):
    """Consents, the newest first. The next page has `last_id` as its `after`."""

    object: Literal["list"] = "list"
    data: list[ConsentEntry]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedConsent(msgspec.Struct, frozen=True, kw_only=True):
    """It is gone."""

    object: Literal["audio.voice_consent"] = "audio.voice_consent"
    id: str
    deleted: bool = True


class ConsentPhrase(msgspec.Struct, frozen=True, kw_only=True):
    """The phrase that a speaker reads out. It names the operator of this server."""

    object: Literal["audio.voice_consent.phrase"] = "audio.voice_consent.phrase"
    language: str
    phrase: str


class Consents:
    """The consents of the caller's account."""

    def __init__(self, keeper: ConsentKeeper, catalogue: Catalogue, section: ConsentSection) -> None:
        self._keeper = keeper
        self._catalogue = catalogue
        self._section = section

    async def create(self, request: Request) -> Response:
        new, recording = await read_consent(request, ConsentBody)
        check_providers(new.providers, self._catalogue.engines)
        caller: Caller = request.scope["state"]["caller"]
        kept = await self._keeper.keep(caller.account, new_consent(new, recording, caller.key))
        return reply(consent_entry(kept))

    async def list_(self, request: Request) -> Response:
        account, store = _account(request), self._keeper.store
        limit = query_limit(request, _MOST) or _USUAL
        place = NEWEST
        if after := request.query_params.get("after"):
            found = await consents.place_of(store, account, after) if after.isprintable() else None
            if found is None:
                raise InvalidRequest(
                    "Invalid value for 'after': it must be the last_id of the page before.", param="after"
                )
            place = found
        rows = await consents.page(store, account, place, limit + 1)
        entries = [consent_entry(self._keeper.open(row)) for row in rows[:limit]]
        whole = ConsentList(
            data=entries,
            first_id=entries[0].id if entries else None,
            last_id=entries[-1].id if entries else None,
            has_more=len(rows) > limit,
        )
        return reply(whole)

    async def retrieve(self, request: Request) -> Response:
        return reply(consent_entry(await self._keeper.find(_account(request), request.path_params["id"])))

    async def rename(self, request: Request) -> Response:
        new = await body(request, ConsentName)
        id_ = request.path_params["id"]
        return reply(consent_entry(await self._keeper.rename(_account(request), id_, new.name)))

    async def delete(self, request: Request) -> Response:
        found = await self._keeper.find(_account(request), request.path_params["id"])
        await self._keeper.delete(found)
        return reply(DeletedConsent(id=found.id))

    async def phrase(self, request: Request) -> Response:
        tag = request.query_params.get("language") or "en"
        return reply(find_phrase(tag, self._section.operator))


_Body = TypeVar("_Body", bound=ConsentBody)


async def read_consent(request: Request, type_: type[_Body]) -> tuple[_Body, bytes | None]:
    """Read a consent from JSON, or from a form with its recording. Raises InvalidRequest."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/"):
        recording = None
        new = await body(request, type_)
    else:
        form = await read_form(
            request, files={"recording": MOST_SAMPLE_BYTES}, fields=type_.__struct_fields__
        )
        new = speech_request.read(type_, form_values(form))
        recording = form.files["recording"].data if "recording" in form.files else None
    if recording is None and new.statement is None:
        raise InvalidRequest(
            "Missing required parameter: 'recording'. Send a recording of the phrase, or a statement.",
            param="recording",
            code="missing_required_parameter",
        )
    return new, recording


def new_consent(new: ConsentBody, recording: bytes | None, made_by: str) -> NewConsent:
    return NewConsent(
        name=new.name,
        language=new.language,
        recording=recording,
        statement=new.statement or "",
        providers=new.providers,
        made_by=made_by,
    )


def find_phrase(tag: str, operator: str) -> ConsentPhrase:
    """Return the phrase in a language. Raises NotFound."""
    phrase = consent_phrases.phrase(tag, operator)
    if phrase is None:
        raise NotFound(
            f"There is no phrase in the language '{tag[:35]}'; send a statement.",
            param="language",
            code="phrase_not_found",
        )
    return ConsentPhrase(language=tag, phrase=phrase)


def consent_entry(consent: OpenedConsent) -> ConsentEntry:
    record = consent.record
    return ConsentEntry(
        id=record.id,
        name=consent.texts.name,
        language=record.language,
        created_at=record.created // 1_000_000,
        kind=record.kind,
        statement=consent.texts.statement or None,
        digest=record.digest,
        duration_seconds=record.seconds,
        providers=None if record.providers is None else list(record.providers),
        made_by=record.made_by,
    )


def routes(keeper: ConsentKeeper, catalogue: Catalogue, section: ConsentSection) -> list[Endpoint]:
    handlers = Consents(keeper, catalogue, section)
    return [
        Endpoint(
            "POST",
            _ROOT,
            handlers.create,
            "create_voice_consent",
            "Keep a speaker's consent: a recording of the phrase, or a statement",
            json(ConsentEntry),
            body=ConsentBody,
            form=ConsentBody,
            files=("recording",),
            failures=(*BODY_FAILURES, NotAllowed, DecoderBusy),
        ),
        Endpoint(
            "GET",
            _ROOT,
            handlers.list_,
            "list_voice_consents",
            "The account's consents, the newest first",
            json(ConsentList),
            queries=_PAGE,
            failures=(InvalidRequest,),
            pace="list",
        ),
        # Before the ids, which have the same form.
        Endpoint(
            "GET",
            f"{_ROOT}/phrases",
            handlers.phrase,
            "get_consent_phrase",
            "The phrase that a speaker reads out",
            json(ConsentPhrase),
            queries=(Query("language", "The language of the phrase; without it, `en`."),),
            failures=(NotFound,),
        ),
        *_consent_routes(handlers),
    ]


def _consent_routes(handlers: Consents) -> list[Endpoint]:
    return [
        Endpoint(
            "GET",
            f"{_ROOT}/{{id}}",
            handlers.retrieve,
            "get_voice_consent",
            "One consent",
            json(ConsentEntry),
            failures=(NotFound,),
        ),
        Endpoint(
            "POST",
            f"{_ROOT}/{{id}}",
            handlers.rename,
            "update_voice_consent",
            "Give a consent another name",
            json(ConsentEntry),
            body=ConsentName,
            failures=(*BODY_FAILURES, NotFound, Conflict),
        ),
        Endpoint(
            "DELETE",
            f"{_ROOT}/{{id}}",
            handlers.delete,
            "delete_voice_consent",
            "Delete a consent that no voice needs",
            json(DeletedConsent),
            failures=(NotFound, Conflict),
        ),
    ]


def _account(request: Request) -> str:
    account: str = request.scope["state"]["caller"].account
    return account
