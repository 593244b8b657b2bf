"""Lists in pages, the newest first, as OpenAI has them: `limit` and `after`, `has_more` and `last_id`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec
from starlette.requests import Request

from proxy.errors import InvalidRequest
from proxy.storage.rows import NEWEST, Place

MOST = 1000
_USUAL = 100


class PlacedRow(Protocol):
    @property
    def id(self) -> str: ...


Row = TypeVar("Row", bound=PlacedRow)


class Page(msgspec.Struct, Generic[Row], frozen=True):
    """`last_id` is what the next page's `after` must be; None where the page is empty."""

    rows: Sequence[Row]
    has_more: bool

    @property
    def last_id(self) -> str | None:
        return self.rows[-1].id if self.rows else None


async def page(
    request: Request,
    place_of: Callable[[str], Awaitable[Place | None]],
    read: Callable[[Place, int], Awaitable[Sequence[Row]]],
) -> Page[Row]:
    """The page that is asked for. Raises InvalidRequest naming `limit`, or `after` where no such row is."""
    limit = asked_limit(request) or _USUAL
    place = NEWEST
    if after := request.query_params.get("after"):
        found = await place_of(after) if after.isprintable() else None
        if found is None:
            raise InvalidRequest(
                "Invalid value for 'after': it must be the last_id of the page before.", param="after"
            )
        place = found
    # One more than is shown tells whether there are more.
    rows = await read(place, limit + 1)
    return Page(rows[:limit], len(rows) > limit)


def asked_limit(request: Request) -> int | None:
    """How many rows are wanted, None where it was not said; raises InvalidRequest."""
    text = request.query_params.get("limit")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MOST)) and 1 <= int(text) <= MOST):
        raise InvalidRequest(
            f"Invalid value for 'limit': it must be a number from 1 to {MOST}.", param="limit"
        )
    return int(text)
