"""Usage: requests one by one, or summed up by one of their sides, as JSON pages or as CSV.

GET /v1/usage shows an account its own, whichever of its keys asks; operators see everybody's, and what
providers took, under /admin/usage.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from typing import Any, Literal, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from policies.price import Per
from proxy import credits
from proxy.endpoints.csv_reply import CsvReply
from proxy.endpoints.pages import MOST, asked_limit, page
from proxy.endpoints.replies import reply
from proxy.endpoints.times import asked_moment, iso
from proxy.errors import InvalidRequest
from proxy.storage import usage, usage_sums
from proxy.storage.place import LAST_MOMENT, NEWEST, Place
from proxy.storage.store import Store
from proxy.storage.usage import Outcome, Period, UsageRow
from proxy.storage.usage_sums import SIDES, By, UsageSum


class UsageEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One request. `credits` were charged, at a `price` of so many credits `price_per` minute, character or
    job; `units` is what providers counted, where they count in units of their own."""

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
    price: float
    price_per: Per
    units: float | None
    first_byte_ms: int | None
    outcome: Outcome
    error: str | None
    cache: str


class UsageGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that have one thing in common: the day, the model, …, as `name` says."""

    name: str
    requests: int
    characters: int
    audio_ms: int
    credits: float


class UsageList(msgspec.Struct, frozen=True, kw_only=True):
    """The newest first."""

    object: Literal["list"] = "list"
    data: list[UsageEntry]
    has_more: bool
    last_id: str | None


class UsageGroups(msgspec.Struct, frozen=True, kw_only=True):
    """All groups at once."""

    object: Literal["list"] = "list"
    data: list[UsageGroup]


class View(NamedTuple):
    """What whoever asks may see of a request and of a group."""

    entry: type[UsageEntry]
    group: type[UsageGroup]


OWN = View(UsageEntry, UsageGroup)


class OwnUsage:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def list_(self, request: Request) -> Response:
        return await answer(self._store, request, request.scope["state"]["caller"].account, OWN)


def routes(store: Store) -> list[Route]:
    return [Route("/v1/usage", OwnUsage(store).list_, methods=["GET"])]


async def answer(store: Store, request: Request, account: str | None, view: View) -> Response:
    """As the query wants it, of one account or of all. Raises InvalidRequest naming what is wrong in it."""
    since, until = asked_moment(request, "since"), asked_moment(request, "until")
    period = Period(account, since or 0, LAST_MOMENT if until is None else until)
    by, as_csv = _asked_by(request), _asks_csv(request)
    if by is not None:
        groups = [_shown(view.group, _group(found)) for found in await usage_sums.sums(store, period, by)]
        if as_csv:
            return CsvReply("usage.csv", view.group.__struct_fields__, _once(groups))
        return reply(UsageGroups(data=groups))
    if as_csv:
        return CsvReply(
            "usage.csv", view.entry.__struct_fields__, _all(store, period, view, asked_limit(request))
        )
    found = await page(
        request,
        lambda id_: usage.place_of(store, id_, account),
        lambda place, limit: usage.page(store, period, place, limit),
    )
    data = [_shown(view.entry, _entry(row)) for row in found.rows]
    return reply(UsageList(data=data, has_more=found.has_more, last_id=found.last_id))


async def _all(
    store: Store, period: Period, view: View, limit: int | None
) -> AsyncGenerator[list[msgspec.Struct], None]:
    """Up to the limit, or to the end: no more than one page is in memory."""
    place = NEWEST
    while True:
        rows = await usage.page(store, period, place, limit or MOST)
        yield [_shown(view.entry, _entry(row)) for row in rows]
        if limit is not None or len(rows) < MOST:
            return
        place = Place(rows[-1].started, rows[-1].id)


async def _once(rows: Iterable[msgspec.Struct]) -> AsyncGenerator[list[msgspec.Struct], None]:
    yield list(rows)


def _asked_by(request: Request) -> By | None:
    text = request.query_params.get("by")
    if not text:
        return None
    for side in SIDES:
        if text == side:
            return side
    raise InvalidRequest(f"Invalid value for 'by': it must be one of {', '.join(SIDES)}.", param="by")


def _asks_csv(request: Request) -> bool:
    text = request.query_params.get("format") or "json"
    if text not in ("json", "csv"):
        raise InvalidRequest("Invalid value for 'format': it must be one of json, csv.", param="format")
    return text == "csv"


def _shown(type_: type[Any], plain: dict[str, Any]) -> Any:
    """Only what the view has."""
    return type_(**{name: plain[name] for name in type_.__struct_fields__})


def _entry(row: UsageRow) -> dict[str, Any]:
    return {
        **msgspec.structs.asdict(row),
        "started": iso(row.started),
        "audio_ms": row.samples * 1000 // row.sample_rate_hz,
        "credits": credits.number(row.credits),
        "price": credits.number(row.price_micro),
        "cost_usd": credits.number(row.micro_usd),
    }


def _group(found: UsageSum) -> dict[str, Any]:
    return {
        **msgspec.structs.asdict(found),
        "credits": credits.number(found.credits),
        "cost_usd": credits.number(found.micro_usd),
    }
