"""/admin/consents: the consents of accounts, for the operator."""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.api_admin.admin_tools import ACCOUNT_QUERY, AdminTools, actor, check_open
from proxy.errors import Conflict, InvalidRequest, NoPlace, NotFound
from proxy.features.consents import records as consents
from proxy.features.consents.bodies import (
    ConsentBody,
    ConsentEntry,
    DeletedConsent,
    consent_entry,
    new_consent,
    read_consent,
)
from proxy.features.consents.keeper import ConsentKeeper, OpenedConsent, check_providers
from proxy.http.body import BODY_FAILURES, AccountName
from proxy.http.endpoint import Endpoint, json
from proxy.http.lists import PAGE, page
from proxy.http.replies import reply
from proxy.storage.rows import new_id


class AccountConsentBody(ConsentBody, frozen=True, kw_only=True):
    """A consent to be kept for an account."""

    account: AccountName


class AccountConsent(ConsentEntry, frozen=True, kw_only=True):
    """A consent, and whose it is."""

    account: str


class AccountConsentList(msgspec.Struct, frozen=True, kw_only=True):
    """Consents, the newest first."""

    object: Literal["list"] = "list"
    data: list[AccountConsent]
    has_more: bool
    last_id: str | None


class AdminConsents:
    def __init__(self, admin_tools: AdminTools, keeper: ConsentKeeper) -> None:
        self._admin_tools = admin_tools
        self._keeper = keeper

    async def list_(self, request: Request) -> Response:
        account, store = await self._admin_tools.query_account(request), self._keeper.store
        listed = await page(
            request,
            lambda id_: consents.place_of(store, account, id_),
            lambda place, limit: consents.page(store, account, place, limit),
        )
        whole = AccountConsentList(
            data=[_shown(self._keeper.open(record)) for record in listed.rows],
            has_more=listed.has_more,
            last_id=listed.last_id,
        )
        return reply(whole)

    async def create(self, request: Request) -> Response:
        new, recording = await read_consent(request, AccountConsentBody)
        owner = await self._admin_tools.account(new.account)
        check_open(owner)
        check_providers(new.providers, frozenset(self._admin_tools.config.engines))
        # As with voices, what names a person is in no audit row.
        act = await self._admin_tools.audit_row(request, "consent.created", new_id("cons"), owner.id)
        kept = await self._keeper.keep(owner.id, new_consent(new, recording, actor(request)), act)
        return reply(_shown(kept), 201)

    async def show(self, request: Request) -> Response:
        return reply(_shown(await self._keeper.find(None, request.path_params["id"])))

    async def delete(self, request: Request) -> Response:
        found = await self._keeper.find(None, request.path_params["id"])
        act = await self._admin_tools.audit_row(request, "consent.deleted", found.id, found.record.account)
        await self._keeper.delete(found, act)
        return reply(DeletedConsent(id=found.id))


def routes(admin_tools: AdminTools, keeper: ConsentKeeper) -> list[Endpoint]:
    handlers = AdminConsents(admin_tools, keeper)
    return [
        Endpoint(
            "GET",
            "/admin/consents",
            handlers.list_,
            "list_consents",
            "The consents of all accounts, the newest first",
            json(AccountConsentList),
            queries=(ACCOUNT_QUERY, *PAGE),
            failures=(InvalidRequest, NotFound),
        ),
        Endpoint(
            "POST",
            "/admin/consents",
            handlers.create,
            "create_consent",
            "Keep a consent for an account: a recording of the phrase, or a statement",
            json(AccountConsent),
            status=201,
            body=AccountConsentBody,
            form=AccountConsentBody,
            files=("recording",),
            failures=(*BODY_FAILURES, NotFound, Conflict, NoPlace),
        ),
        Endpoint(
            "GET",
            "/admin/consents/{id}",
            handlers.show,
            "get_consent",
            "One consent",
            json(AccountConsent),
            failures=(NotFound,),
        ),
        Endpoint(
            "DELETE",
            "/admin/consents/{id}",
            handlers.delete,
            "delete_consent",
            "Delete a consent that no voice needs",
            json(DeletedConsent),
            failures=(NotFound, Conflict),
        ),
    ]


def _shown(consent: OpenedConsent) -> AccountConsent:
    plain = msgspec.structs.asdict(consent_entry(consent))
    return AccountConsent(**plain, account=consent.record.account)
