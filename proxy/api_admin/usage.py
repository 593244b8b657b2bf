"""/admin/usage: everybody's usage, with what providers took for it."""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.api.usage import Reports, UsageEntry, UsageGroup, View
from proxy.api_admin.administration import Administration


class AdminUsageEntry(UsageEntry, frozen=True, kw_only=True):
    """`cost_usd` is for all attempts of the request, losing ones among them."""

    cost_usd: float


class AdminUsageGroup(UsageGroup, frozen=True, kw_only=True):
    """With the money that providers took."""

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
    def __init__(self, administration: Administration) -> None:
        self._administration = administration
        self._reports = Reports(administration.store, administration.turns, _ALL)

    async def list_(self, request: Request) -> Response:
        account = await self._administration.asked_account(request)
        return await self._reports.answer(request, account)


def routes(administration: Administration) -> list[Route]:
    return [Route("/admin/usage", Usage(administration).list_, methods=["GET"])]
