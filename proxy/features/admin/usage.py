"""Usage: requests one by one, or sums of them, as pages of JSON or as CSV.

/v1/usage shows an account all its requests, with any of its keys. Operators see the requests of all
accounts, and what providers took for them, under /admin/usage.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from policies.price import Operation, Per
from policies.usage_sides import DIMENSIONS, Dimension
from proxy.access.callers import caller_of, caller_or_none
from proxy.api.admin_tools import ACCOUNT_QUERY, AdminTools
from proxy.config import credits
from proxy.errors import InvalidRequest, NotFound
from proxy.features.admin import usage_sums
from proxy.features.admin.usage_sums import UsageSum
from proxy.http.endpoint import Query
from proxy.http.lists import (
    MOST_ROWS,
    PAGE,
    SINCE,
    UNTIL,
    Listing,
    iso_time,
    query_limit,
    query_time_micros,
    read_page,
)
from proxy.http.replies import CsvReply, reply
from proxy.http.resource import Resource, endpoint
from proxy.speech.usage_tag import query_tag
from proxy.storage import usage
from proxy.storage.rows import LAST_MOMENT, NEWEST, PagePlace
from proxy.storage.usage import CheckSums, Outcome, Period, UsageRow


class UsageEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One request, or a clone at a provider, as `operation` says. `credits` were charged, at a `price` of so
    many credits `price_per` minute, character or job. `refunded` of them were given back later. `units` is
    what providers counted in units of their own. `job` is the one of which it is a step. `substitute` is what
    the answer told in `x-voxgate-substitute`, "" for nothing, and `tag` the tag of the request. `check` has
    the numbers of the answer's `check`, null without one."""

    id: str
    started: str
    account: str
    key: str
    engine: str
    model: str
    voice: str
    language: str
    format: str
    characters: int
    audio_ms: int
    credits: float
    refunded: float
    price: float
    price_per: Per
    units: float | None
    first_byte_ms: int | None
    outcome: Outcome
    error: str | None
    cache: str
    operation: Operation
    job: str
    substitute: str
    tag: str
    check: CheckSums | None


class UsageGroup(msgspec.Struct, frozen=True, kw_only=True):
    """The sum of the requests that have a day, a model, … in common. `name` says which."""

    name: str
    requests: int
    characters: int
    audio_ms: int
    credits: float
    refunded: float


class UsageList(Listing, frozen=True, kw_only=True):
    """The newest first."""

    data: list[UsageEntry]


class UsageGroups(msgspec.Struct, frozen=True, kw_only=True):
    """Sums. They are not paged: `has_more` says that some are left out."""

    object: Literal["list"] = "list"
    data: list[UsageGroup]
    has_more: bool


class AdminUsageEntry(UsageEntry, frozen=True, kw_only=True):
    """`cost_usd` is for all attempts of the request, also for those that lost a race."""

    cost_usd: float


class AdminUsageGroup(UsageGroup, frozen=True, kw_only=True):
    """A sum, with the money that providers charged. By account, day, engine, job, month and tag,
    `cost_usd` also has the cost of runs on rented machines. The sum of an account has its `account_name`."""

    cost_usd: float
    account_name: str


class AdminUsageList(Listing, frozen=True, kw_only=True):
    data: list[AdminUsageEntry]


class AdminUsageGroups(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[AdminUsageGroup]
    has_more: bool


_QUERIES = (
    SINCE,
    UNTIL,
    Query("tag", "Only requests with this tag, or without one for an empty text."),
    Query(
        "by", "Sums instead of single requests, one for each of these: up to `limit`, not paged.", DIMENSIONS
    ),
    Query("format", "`csv` is for spreadsheets: all rows, or the first `limit`.", ("json", "csv")),
    *PAGE,
)
LOOK_BACK_DAYS = 400
"""Sums without `since` go back so far: a year, and a month to compare it with."""


class UsageReports:
    """Answers queries of usage. The two types have the fields that its readers may see."""

    def __init__(self, tools: AdminTools, entry_type: type[UsageEntry], group_type: type[UsageGroup]) -> None:
        self._store = tools.store
        self._throttle = tools.usage_throttle
        self._entry_type = entry_type
        self._group_type = group_type

    async def answer_usage(self, request: Request, account: str | None) -> Response:
        """Answer the query for one account, or for all. Raises InvalidRequest and RateLimited."""
        caller = caller_or_none(request.scope)
        limit, by, as_csv = query_limit(request), _query_by(request), _query_is_csv(request)
        period = await self._period(request, account, is_summed=by is not None)
        turn = self._throttle.hold_turn(caller)  # only sums and CSV take it
        if by is None and not as_csv:
            return await self._page(request, period)
        if request.query_params.get("after"):
            raise InvalidRequest("Invalid value for 'after': neither sums nor CSV are paged.", param="after")
        if by is None:
            return CsvReply(
                "usage.csv", self._entry_type.__struct_fields__, self._all_rows(turn, period, limit)
            )
        if as_csv:
            sums = self._all_sums(turn, period, by, limit)
            return CsvReply("usage.csv", self._group_type.__struct_fields__, sums)
        most_rows = limit or MOST_ROWS
        with turn:
            # One more than is shown tells whether there are more.
            groups = await self._sums(period, by, most_rows + 1)
        return reply(UsageGroups(data=groups[:most_rows], has_more=len(groups) > most_rows))

    async def _period(self, request: Request, account: str | None, *, is_summed: bool) -> Period:
        since, until = query_time_micros(request, "since"), query_time_micros(request, "until")
        until = LAST_MOMENT if until is None else until
        if since is None and is_summed:
            since = min(until, await self._store.now()) - LOOK_BACK_DAYS * usage_sums.DAY_US
        return Period(account, since or 0, until, query_tag(request.query_params.get("tag")))

    async def _page(self, request: Request, period: Period) -> Response:
        page = await read_page(
            request,
            lambda id_: usage.find_place(self._store, id_, period.account),
            lambda place, limit: usage.list_page(self._store, period, place, limit),
        )
        return await page.list_response(UsageList, lambda row: _as_view(self._entry_type, _entry_fields(row)))

    async def _sums(self, period: Period, by: Dimension, most_rows: int) -> list[Any]:
        groups = await usage_sums.list_sums(
            self._store, period, by, most_rows, has_runs=self._entry_type is AdminUsageEntry
        )
        return [_as_view(self._group_type, _group_fields(each)) for each in groups]

    async def _all_sums(
        self, turn: AbstractContextManager[None], period: Period, by: Dimension, limit: int | None
    ) -> AsyncGenerator[list[msgspec.Struct], None]:
        with turn:
            groups = await self._sums(period, by, limit or usage_sums.NO_LIMIT)
        # An account may have as many voices as requests. `CsvReply` needs a first batch, even an empty one.
        for start in range(0, max(1, len(groups)), MOST_ROWS):
            yield groups[start : start + MOST_ROWS]

    async def _all_rows(
        self, turn: AbstractContextManager[None], period: Period, limit: int | None
    ) -> AsyncGenerator[list[msgspec.Struct], None]:
        """Yield the entries of the period, up to the limit. No more than one page is in memory."""
        place = NEWEST
        with turn:
            while True:
                rows = await usage.list_page(
                    self._store, period, place, limit or MOST_ROWS, is_one_of_many=True
                )
                yield [_as_view(self._entry_type, _entry_fields(row)) for row in rows]
                # A limit is at most `MOST_ROWS`, so it is one page.
                if limit is not None or len(rows) < MOST_ROWS:
                    return
                place = PagePlace(rows[-1].started, rows[-1].id)


class Usage(Resource):
    def __init__(self, admin_tools: AdminTools) -> None:
        self._admin_tools = admin_tools
        self._own_reports = UsageReports(admin_tools, UsageEntry, UsageGroup)
        self._all_reports = UsageReports(admin_tools, AdminUsageEntry, AdminUsageGroup)

    @endpoint(
        "GET",
        "/v1/usage",
        UsageList,
        UsageGroups,
        media=("text/csv",),
        queries=_QUERIES,
        failures=(InvalidRequest,),
        pace="usage",
    )
    async def list_usage(self, request: Request) -> Response:
        """The account's requests with their cost, or sums of them"""
        return await self._own_reports.answer_usage(request, caller_of(request.scope).account)

    @endpoint(
        "GET",
        "/admin/usage",
        AdminUsageList,
        AdminUsageGroups,
        media=("text/csv",),
        queries=(ACCOUNT_QUERY, *_QUERIES),
        failures=(InvalidRequest, NotFound),
    )
    async def list_all_usage(self, request: Request) -> Response:
        """The requests of all accounts with their cost, or sums of them"""
        return await self._all_reports.answer_usage(request, await self._admin_tools.query_account(request))


def _query_by(request: Request) -> Dimension | None:
    text = request.query_params.get("by")
    if not text:
        return None
    for dimension in DIMENSIONS:
        if text == dimension:
            return dimension
    raise InvalidRequest(f"Invalid value for 'by': it must be one of {', '.join(DIMENSIONS)}.", param="by")


def _query_is_csv(request: Request) -> bool:
    text = request.query_params.get("format") or "json"
    if text not in ("json", "csv"):
        raise InvalidRequest("Invalid value for 'format': it must be one of json, csv.", param="format")
    return text == "csv"


def _as_view(type_: type[Any], fields: dict[str, Any]) -> Any:
    """Return a struct of this type. The `fields` that it does not have are left out."""
    return type_(**{name: fields[name] for name in type_.__struct_fields__})


def _entry_fields(row: UsageRow) -> dict[str, Any]:
    return {
        **msgspec.structs.asdict(row),
        "started": iso_time(row.started),
        "operation": row.kind,
        "check": CheckSums.of_column(row.checked),
        "audio_ms": row.samples * 1000 // row.sample_rate_hz,
        "credits": credits.to_credits(row.credits),
        "refunded": credits.to_credits(row.refunded),
        "price": credits.to_credits(row.price_micro),
        "cost_usd": credits.to_credits(row.micro_usd),
    }


def _group_fields(group: UsageSum) -> dict[str, Any]:
    return {
        **msgspec.structs.asdict(group),
        "credits": credits.to_credits(group.credits),
        "refunded": credits.to_credits(group.refunded),
        "cost_usd": credits.to_credits(group.micro_usd),
    }
