"""/v1/audio/voice_consents: speakers agree that voices are made of their speech, as in OpenAI's API."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from proxy.access.callers import caller_of
from proxy.config.sections import Config
from proxy.errors import Conflict, InvalidRequest, NoPlace, NotAllowed, NotFound
from proxy.features.consents import phrases
from proxy.features.consents import records as consents
from proxy.features.consents.bodies import (
    ConsentBody,
    ConsentEntry,
    ConsentList,
    ConsentName,
    ConsentPhrase,
    DeletedConsent,
    consent_entry,
    new_consent,
    read_consent,
)
from proxy.features.consents.keeper import ConsentKeeper, OpenedConsent, check_providers
from proxy.http.body import BODY_FAILURES, body
from proxy.http.endpoint import Endpoint, Query, json
from proxy.http.lists import page
from proxy.http.replies import reply

_ROOT = "/v1/audio/voice_consents"
_USUAL = 20
_MOST = 100
_PAGE = (
    Query("limit", f"How many, 1 to {_MOST}. Without it, {_USUAL}."),
    Query("after", "The `last_id` of the page before."),
)


class Consents:
    """The consents of the caller's account."""

    def __init__(self, keeper: ConsentKeeper, config: Config) -> None:
        self._keeper = keeper
        self._engines = frozenset(config.engines)
        self._operator = config.consent.operator

    async def create(self, request: Request) -> Response:
        new, recording = await read_consent(request, ConsentBody)
        check_providers(new.providers, self._engines)
        caller = caller_of(request.scope)
        kept = await self._keeper.keep(caller.account, new_consent(new, recording, caller.key))
        return reply(consent_entry(kept))

    async def list_(self, request: Request) -> Response:
        account, store = caller_of(request.scope).account, self._keeper.store
        found = await page(
            request,
            lambda id_: consents.place_of(store, account, id_),
            lambda place, limit: consents.page(store, account, place, limit),
            usual=_USUAL,
            most=_MOST,
        )
        entries = [consent_entry(self._keeper.open(row)) for row in found.rows]
        whole = ConsentList(
            data=entries,
            first_id=entries[0].id if entries else None,
            last_id=found.last_id,
            has_more=found.has_more,
        )
        return reply(whole)

    async def retrieve(self, request: Request) -> Response:
        return reply(consent_entry(await self._found(request)))

    async def rename(self, request: Request) -> Response:
        new, account = await body(request, ConsentName), caller_of(request.scope).account
        return reply(consent_entry(await self._keeper.rename(account, request.path_params["id"], new.name)))

    async def delete(self, request: Request) -> Response:
        found = await self._found(request)
        await self._keeper.delete(found)
        return reply(DeletedConsent(id=found.id))

    async def _found(self, request: Request) -> OpenedConsent:
        return await self._keeper.find(caller_of(request.scope).account, request.path_params["id"])

    async def phrase(self, request: Request) -> Response:
        tag = request.query_params.get("language") or "en"
        return reply(find_phrase(tag, self._operator))


def find_phrase(tag: str, operator: str) -> ConsentPhrase:
    """Return the phrase in a language. Raises NotFound."""
    phrase = phrases.phrase(tag, operator)
    if phrase is None:
        raise NotFound(
            f"There is no phrase in the language '{tag[:35]}'; send a statement.",
            param="language",
            code="phrase_not_found",
        )
    return ConsentPhrase(language=tag, phrase=phrase)


def routes(keeper: ConsentKeeper, config: Config) -> list[Endpoint]:
    handlers = Consents(keeper, config)
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
            failures=(*BODY_FAILURES, NotAllowed, NoPlace),
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
