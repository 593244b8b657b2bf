"""/admin/usage: the usage of all accounts, and what their providers charged for it."""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.api.usage import USAGE_QUERIES, Reports, UsageEntry, UsageGroup, View
from proxy.api_admin.admin_tools import ACCOUNT_QUERY, AdminTools
from proxy.errors import InvalidRequest, NotFound
from proxy.http.endpoint import Endpoint, json


class AdminUsageEntry(UsageEntry, frozen=True, kw_only=True):
    """`cost_usd` is for all attempts of the request, also for those that lost a race."""

    cost_usd: float


class AdminUsageGroup(UsageGroup, frozen=True, kw_only=True):
    """A sum, with the money that providers charged."""

    cost_usd: float


class AdminUsageList(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[AdminUsageEntry]
    has_more: bool
    last_id: str | None


class AdminUsageGroups(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[AdminUsageGroup]
    has_more: bool


_ALL = View(AdminUsageEntry, AdminUsageGroup)


class Usage:
    def __init__(self, admin_tools: AdminTools) -> None:
        self._admin_tools = admin_tools
        self._reports = Reports(admin_tools.store, admin_tools.usage_throttle, _ALL)

    async def list_(self, request: Request) -> Response:
        account = await self._admin_tools.query_account(request)
        return await self._reports.answer(request, account)


def routes(admin_tools: AdminTools) -> list[Endpoint]:
    return [
        Endpoint(
            "GET",
            "/admin/usage",
            Usage(admin_tools).list_,
            "list_all_usage",
            "The requests of all accounts with their cost, or sums of them",
            {**json(AdminUsageList, AdminUsageGroups), "text/csv": ()},
            queries=(ACCOUNT_QUERY, *USAGE_QUERIES),
            failures=(InvalidRequest, NotFound),
        )
    ]
