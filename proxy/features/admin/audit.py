"""/admin/audit: the list of changes with their authors and times."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.api.admin_tools import ACCOUNT_QUERY, AdminTools
from proxy.errors import InvalidRequest, NotFound
from proxy.http.lists import PAGE, SINCE, Listing, iso_time, query_time_micros, read_page
from proxy.http.resource import Resource, endpoint
from proxy.storage import audit
from proxy.storage.audit import Act
from proxy.storage.rows import decode_json


class ShownAct(msgspec.Struct, frozen=True, kw_only=True):
    """`actor` is the id of a key, `control` for the CLI, or `voxgate` for the server itself. `subject` is the
    id or the name of what was changed. `account` is empty if the change concerns no account."""

    id: str
    at: str
    actor: str
    action: str
    subject: str
    account: str
    details: dict[str, Any]


class ActList(Listing, frozen=True, kw_only=True):
    data: list[ShownAct]


class Audit(Resource):
    def __init__(self, admin_tools: AdminTools) -> None:
        self._admin_tools = admin_tools

    @endpoint(
        "GET",
        "/admin/audit",
        ActList,
        queries=(ACCOUNT_QUERY, SINCE, *PAGE),
        failures=(InvalidRequest, NotFound),
    )
    async def list_audit(self, request: Request) -> Response:
        """Who changed what, the newest first"""
        account = await self._admin_tools.query_account(request)
        since = query_time_micros(request, "since") or 0
        store = self._admin_tools.store
        page = await read_page(
            request,
            # None: a page may begin after a row of any account.
            partial(audit.ROWS.place_of, store, None),
            lambda place, limit: audit.list_acts(
                store, account=account, since=since, place=place, limit=limit
            ),
        )
        return await page.list_response(ActList, _shown_act)


def _shown_act(act: Act) -> ShownAct:
    fields = msgspec.structs.asdict(act)
    return ShownAct(**{**fields, "at": iso_time(act.at), "details": decode_json(act.details)})
