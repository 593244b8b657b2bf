"""Lists of an API: pages, the newest row first, and the times in queries and rows.

Pages are as OpenAI has them: a query has `limit` and `after`, an answer has `has_more` and `last_id`.
Times are days and RFC 3339 times in UTC; inside the server they are microseconds.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Generic, Literal, Protocol, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.errors import InvalidRequest
from proxy.http.endpoint import Query
from proxy.http.replies import reply
from proxy.storage.listed_tables import ListedTable
from proxy.storage.rows import NEWEST, PagePlace, map_in_turns
from proxy.storage.store import Store

PAGE = (
    Query("limit", "How many, 1 to 1000. Without it, 100."),
    Query("after", "The `last_id` of the page before."),
)
SINCE = Query("since", "Not before this day (`2026-01-31`) or time (`2026-01-31T12:00:00Z`), UTC.")
UNTIL = Query("until", "Before this day or time.")

MOST_ROWS = 1000
_USUAL_ROWS = 100

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class PlacedRow(Protocol):
    @property
    def id(self) -> str: ...


Row = TypeVar("Row", bound=PlacedRow)


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A page as an answer. Each kind of row has a subclass with the type of `data`."""

    object: Literal["list"] = "list"
    data: list[Any]
    has_more: bool
    last_id: str | None


class Page(msgspec.Struct, Generic[Row], frozen=True):
    """One page. The next page has `last_id` as its `after`; an empty page has none."""

    rows: Sequence[Row]
    has_more: bool

    @property
    def last_id(self) -> str | None:
        return self.rows[-1].id if self.rows else None

    async def list_response(
        self, listing: type[Listing], show_row: Callable[[Row], msgspec.Struct], **more_fields: Any
    ) -> Response:
        """Answer with each row as `show_row` returns it, and with the `more_fields` of the listing."""
        data = await map_in_turns(show_row, self.rows)
        answer = listing(data=data, has_more=self.has_more, last_id=self.last_id, **more_fields)
        # Encoding in one go would delay other requests.
        return reply(answer) if len(data) <= _USUAL_ROWS else await asyncio.to_thread(reply, answer)


async def read_page(
    request: Request,
    place_of: Callable[[str], Awaitable[PagePlace | None]],
    read_rows: Callable[[PagePlace, int], Awaitable[Sequence[Row]]],
    *,
    usual_rows: int = _USUAL_ROWS,
    most_rows: int = MOST_ROWS,
) -> Page[Row]:
    """Read the page that the query names. Without a limit, it has `usual_rows`.

    `place_of` returns the place of the row with an id. `read_rows` takes a place and the number of rows after
    it. Raises InvalidRequest if `limit` is not 1 to `most_rows`, or if no row has the id in `after`.
    """
    limit = query_limit(request, most_rows) or usual_rows
    place = NEWEST
    if after := request.query_params.get("after"):
        row = await place_of(after) if after.isprintable() else None
        if row is None:
            raise InvalidRequest(
                "Invalid value for 'after': it must be the last_id of the page before.", param="after"
            )
        place = row
    # One row more than the page shows tells whether there is a next page.
    rows = await read_rows(place, limit + 1)
    return Page(rows[:limit], len(rows) > limit)


async def read_table_page(
    request: Request, table: ListedTable[Any], store: Store, account: str | None, **lengths: int
) -> Page[Any]:
    """Read the page of a table's rows, of one account or of all. `lengths`: see `read_page`."""
    place_of, read = partial(table.place_of, store, account), partial(table.page, store, account)
    return await read_page(request, place_of, read, **lengths)


def query_limit(request: Request, most_rows: int = MOST_ROWS) -> int | None:
    text = request.query_params.get("limit")
    if not text:
        return None
    if not (
        text.isascii()
        and text.isdecimal()
        and len(text) <= len(str(most_rows))
        and 1 <= int(text) <= most_rows
    ):
        raise InvalidRequest(
            f"Invalid value for 'limit': it must be a number from 1 to {most_rows}.", param="limit"
        )
    return int(text)


def query_choice(request: Request, query: Query) -> str:
    """Return the value of a parameter, or "". Raise InvalidRequest if it is none of its values."""
    value = request.query_params.get(query.name)
    if value not in (None, *query.values):
        choices = " or ".join(query.values)
        message = f"Invalid value for '{query.name}': it must be {choices}, or left out."
        raise InvalidRequest(message, param=query.name)
    return value or ""


def iso_time(micros: int) -> str:
    # Not fromtimestamp: a float would lose the last microsecond.
    moment = _EPOCH + timedelta(microseconds=micros)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def iso_time_or_none(micros: int | None) -> str | None:
    return None if micros is None else iso_time(micros)


def query_time_micros(request: Request, field: str) -> int | None:
    """Return the day or time in microseconds since 1970, or None without one. Raises InvalidRequest."""
    text = request.query_params.get(field)
    if not text:
        return None
    moment = _parse_moment(text)
    if moment is None:
        raise InvalidRequest(
            f"Invalid value for '{field}': it must be a day such as 2026-01-31, or a time such as "
            "2026-01-31T12:00:00Z.",
            param=field,
        )
    return (moment - _EPOCH) // _MICROSECOND


def _parse_moment(text: str) -> datetime | None:
    if not (_DAY.fullmatch(text) or _TIME.fullmatch(text)):
        return None
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
