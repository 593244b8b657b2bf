"""/admin/audit: who changed what, and when."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.api_admin.admin_tools import ACCOUNT_QUERY, AdminTools
from proxy.errors import InvalidRequest, NotFound
from proxy.http.endpoint import Endpoint, json
from proxy.http.lists import PAGE, SINCE, iso, page, query_time
from proxy.http.replies import reply
from proxy.storage import audit
from proxy.storage.audit import Act
from proxy.storage.rows import decode_json


class ShownAct(msgspec.Struct, frozen=True, kw_only=True):
    """`actor` is the id of an administrator's key, or `control` for the CLI; `subject` is the id of the
    account, key or request that was changed."""

    id: str
    at: str
    actor: str
    action: str
    subject: str
    account: str
    details: dict[str, Any]


class ActList(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[ShownAct]
    has_more: bool
    last_id: str | None


class Audit:
    def __init__(self, admin_tools: AdminTools) -> None:
        self._admin_tools = admin_tools

    async def list_(self, request: Request) -> Response:
        account = await self._admin_tools.query_account(request)
        since = query_time(request, "since") or 0
        store = self._admin_tools.store
        listed = await page(
            request,
            lambda id_: audit.place_of(store, id_),
            lambda place, limit: audit.list_(store, account=account, since=since, place=place, limit=limit),
        )
        data = [_shown(act) for act in listed.rows]
        return reply(ActList(data=data, has_more=listed.has_more, last_id=listed.last_id))


def routes(admin_tools: AdminTools) -> list[Endpoint]:
    return [
        Endpoint(
            "GET",
            "/admin/audit",
            Audit(admin_tools).list_,
            "list_audit",
            "Who changed what, the newest first",
            json(ActList),
            queries=(ACCOUNT_QUERY, SINCE, *PAGE),
            failures=(InvalidRequest, NotFound),
        )
    ]


def _shown(act: Act) -> ShownAct:
    plain = msgspec.structs.asdict(act)
    return ShownAct(**{**plain, "at": iso(act.at), "details": decode_json(act.details)})
