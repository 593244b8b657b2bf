"""/v1/audio/voice_consents: speakers agree that voices are made of their speech, as in OpenAI's API.

Under /admin/consents are those of all accounts.
"""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from proxy.access.callers import caller_of
from proxy.api.admin_tools import ACCOUNT_QUERY, AdminTools, actor, check_open
from proxy.errors import Conflict, DecodingFailed, InvalidRequest, NoPlace, NotAllowed, NotFound
from proxy.features.consents import records as consents
from proxy.features.consents import rules
from proxy.features.consents.bodies import (
    AccountConsent,
    AccountConsentBody,
    AccountConsentList,
    ConsentBody,
    ConsentEntry,
    ConsentList,
    ConsentName,
    ConsentPhrase,
    DeletedConsent,
    account_consent,
    consent_entry,
    new_consent,
    read_consent,
)
from proxy.features.consents.keeper import ConsentKeeper, OpenedConsent, check_providers
from proxy.http.body import body
from proxy.http.endpoint import Query
from proxy.http.lists import PAGE, page
from proxy.http.replies import reply
from proxy.http.resource import Resource, account_of, answers
from proxy.storage.rows import new_id

_ROOT = "/v1/audio/voice_consents"
_USUAL = 20
_MOST = 100
_PAGE = (
    Query("limit", f"How many, 1 to {_MOST}. Without it, {_USUAL}."),
    Query("after", "The `last_id` of the page before."),
)


class Consents(Resource):
    """The consents of the caller's account. The operator reads, brings and deletes those of any account."""

    def __init__(self, admin_tools: AdminTools, keeper: ConsentKeeper) -> None:
        self._admin_tools = admin_tools
        self._keeper = keeper
        config = admin_tools.config
        # Where an engine works at a runner, the runner gets the voice.
        self._providers = frozenset({*config.engines, *config.plugins_of("runner")})

    @answers(
        "POST",
        _ROOT,
        ConsentEntry,
        body=ConsentBody,
        form=ConsentBody,
        files=("recording",),
        failures=(NotAllowed, NoPlace, DecodingFailed),
    )
    async def create_voice_consent(self, request: Request) -> Response:
        """Keep a speaker's consent: a recording of the phrase, or a statement"""
        new, recording = await read_consent(request, ConsentBody)
        check_providers(new.providers, self._providers)
        caller = caller_of(request.scope)
        kept = await self._keeper.keep(caller.account, new_consent(new, recording, caller.key))
        return reply(consent_entry(kept))

    @answers("GET", _ROOT, ConsentList, queries=_PAGE, failures=(InvalidRequest,), pace="list")
    async def list_voice_consents(self, request: Request) -> Response:
        """The account's consents, the newest first"""
        account, store = caller_of(request.scope).account, self._keeper.store
        found = await page(
            request,
            partial(consents.place_of, store, account),
            partial(consents.page, store, account),
            usual=_USUAL,
            most=_MOST,
        )
        entries = [consent_entry(self._keeper.open(row)) for row in found.rows]
        first = entries[0].id if entries else None
        return reply(
            ConsentList(data=entries, first_id=first, last_id=found.last_id, has_more=found.has_more)
        )

    # Before the ids, which have the same form.
    @answers(
        "GET",
        f"{_ROOT}/phrases",
        ConsentPhrase,
        queries=(Query("language", "The language of the phrase; without it, `en`."),),
        failures=(NotFound,),
    )
    async def get_consent_phrase(self, request: Request) -> Response:
        """The phrase that a speaker reads out"""
        tag = request.query_params.get("language") or "en"
        phrase = rules.phrase(tag, self._admin_tools.config.consent.operator)
        if phrase is None:
            raise NotFound(
                f"There is no phrase in the language '{tag[:35]}'; send a statement.",
                param="language",
                code="phrase_not_found",
            )
        return reply(ConsentPhrase(language=tag, phrase=phrase))

    @answers("GET", f"{_ROOT}/{{id}}", ConsentEntry, failures=(NotFound,))
    async def get_voice_consent(self, request: Request) -> Response:
        """One consent"""
        return reply(consent_entry(await self._found(request)))

    @answers("POST", f"{_ROOT}/{{id}}", ConsentEntry, body=ConsentName, failures=(NotFound, Conflict))
    async def update_voice_consent(self, request: Request) -> Response:
        """Give a consent another name"""
        new, account = await body(request, ConsentName), caller_of(request.scope).account
        return reply(consent_entry(await self._keeper.rename(account, request.path_params["id"], new.name)))

    @answers("DELETE", f"{_ROOT}/{{id}}", DeletedConsent, failures=(NotFound, Conflict))
    async def delete_voice_consent(self, request: Request) -> Response:
        """Delete a consent that no voice needs"""
        found = await self._found(request)
        await self._keeper.delete(found)
        return reply(DeletedConsent(id=found.id))

    @answers(
        "GET",
        "/admin/consents",
        AccountConsentList,
        queries=(ACCOUNT_QUERY, *PAGE),
        failures=(InvalidRequest, NotFound),
    )
    async def list_consents(self, request: Request) -> Response:
        """The consents of all accounts, the newest first"""
        account, store = await self._admin_tools.query_account(request), self._keeper.store
        listed = await page(
            request, partial(consents.place_of, store, account), partial(consents.page, store, account)
        )
        return listed.answer(AccountConsentList, lambda row: account_consent(self._keeper.open(row)))

    @answers(
        "POST",
        "/admin/consents",
        AccountConsent,
        status=201,
        body=AccountConsentBody,
        form=AccountConsentBody,
        files=("recording",),
        failures=(NotFound, Conflict, NoPlace),
    )
    async def create_consent(self, request: Request) -> Response:
        """Keep a consent for an account: a recording of the phrase, or a statement"""
        new, recording = await read_consent(request, AccountConsentBody)
        owner = await self._admin_tools.account(new.account)
        check_open(owner)
        check_providers(new.providers, self._providers)
        # As with voices, what names a person is in no audit row.
        act = await self._admin_tools.audit_row(request, "consent.created", new_id("cons"), owner.id)
        kept = await self._keeper.keep(owner.id, new_consent(new, recording, actor(request)), act)
        return reply(account_consent(kept), 201)

    @answers("GET", "/admin/consents/{id}", AccountConsent, failures=(NotFound,))
    async def get_consent(self, request: Request) -> Response:
        """One consent"""
        return reply(account_consent(await self._found(request)))

    @answers("DELETE", "/admin/consents/{id}", DeletedConsent, failures=(NotFound, Conflict))
    async def delete_consent(self, request: Request) -> Response:
        """Delete a consent that no voice needs"""
        found = await self._found(request)
        act = await self._admin_tools.audit_row(request, "consent.deleted", found.id, found.record.account)
        await self._keeper.delete(found, act)
        return reply(DeletedConsent(id=found.id))

    async def _found(self, request: Request) -> OpenedConsent:
        return await self._keeper.find(account_of(request), request.path_params["id"])
