"""Usage: one row for each request that spoke or tried to, written once, with its end."""

from __future__ import annotations

from typing import Literal

import msgspec

from policies.price import Per
from proxy.storage.rows import LAST_MOMENT, NEWEST, Place, columns, insert, insert_sql
from proxy.storage.store import Params, Statement, Store

Outcome = Literal["finished", "left", "failed"]


class Period(msgspec.Struct, frozen=True):
    """Requests of one account, or of all, that started in `since <= started < until`."""

    account: str | None = None
    since: int = 0
    until: int = LAST_MOMENT


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a request came to. `id` is the request's; `samples` are those written, at `sample_rate_hz`.

    `credits` are micro-credits, at the price that the request's hold kept; `micro_usd` and `units` are what
    providers took for all its attempts. `refunded` is what was given back of the credits later on: the one
    thing that ever changes.
    """

    id: str
    account: str
    key: str
    started: int
    engine: str
    model: str
    voice: str
    language: str
    characters: int
    samples: int
    sample_rate_hz: int
    format: str
    outcome: Outcome
    first_byte_ms: int | None = None
    error: str | None = None
    credits: int = 0
    price_micro: int = 0
    price_per: Per = "job"
    units: float | None = None
    micro_usd: int = 0
    cache: str = "off"
    refunded: int = 0


_COLUMNS = columns(UsageRow)
_INSERT = insert_sql("usage", UsageRow)
IN_PERIOD = "started >= :since AND started < :until"
IN_PERIOD_OF_ACCOUNT = f"account = :account AND {IN_PERIOD}"
_PAGE = "started <= :at AND (started < :at OR id < :id) ORDER BY started DESC, id DESC LIMIT :limit"
_LIST = f"SELECT {_COLUMNS} FROM usage WHERE {IN_PERIOD} AND {_PAGE}"
_LIST_OF_ACCOUNT = f"SELECT {_COLUMNS} FROM usage WHERE {IN_PERIOD_OF_ACCOUNT} AND {_PAGE}"
_PLACE = "SELECT started FROM usage WHERE id = :id"
_PLACE_OF_ACCOUNT = f"{_PLACE} AND account = :account"
_DELETE = """
DELETE FROM usage WHERE id IN (SELECT id FROM usage WHERE started < :before ORDER BY started LIMIT :most)
RETURNING id
"""
_REFUNDED = "UPDATE usage SET refunded = :amount WHERE id = :id"
_FINISHED = "SELECT started FROM usage WHERE id = :id AND account = :account AND outcome = 'finished'"


def insert_statement(row: UsageRow) -> Statement:
    """For one unit of work with what the request moved; a second row for it makes the unit AlreadyExists."""
    return insert(_INSERT, row)


def refund_statement(request: str, amount: int) -> Statement:
    """For one unit of work with the entries that give it back; of a row that is not kept any more nothing."""
    return Statement(_REFUNDED, {"id": request, "amount": amount})


async def list_(
    store: Store,
    *,
    account: str | None = None,
    since: int = 0,
    until: int = LAST_MOMENT,
    limit: int = 1000,
) -> list[UsageRow]:
    """The newest first, `limit` at most."""
    return await page(store, Period(account, since, until), NEWEST, limit)


async def page(
    store: Store, period: Period, place: Place, limit: int, *, is_one_of_many: bool = False
) -> list[UsageRow]:
    """The newest first, those before the place; one of many is read beside what others wait for."""
    asked: Params = {**msgspec.structs.asdict(period), "at": place.at, "id": place.id, "limit": limit}
    read = store.read_long if is_one_of_many else store.read
    rows = await read(_LIST if period.account is None else _LIST_OF_ACCOUNT, asked)
    return msgspec.convert(rows, list[UsageRow])


async def place_of(store: Store, id_: str, account: str | None) -> Place | None:
    """Of a request of this account: others' do not exist for it."""
    sql = _PLACE if account is None else _PLACE_OF_ACCOUNT
    rows = await store.read(sql, {"id": id_, "account": account})
    return Place(rows[0]["started"], id_) if rows else None


async def find_finished(store: Store, id_: str, account: str) -> int | None:
    """When a request of this account started that was spoken to its end, and charged; None for any other."""
    rows = await store.read(_FINISHED, {"id": id_, "account": account})
    return int(rows[0]["started"]) if rows else None


async def delete(store: Store, before: int, most: int) -> int:
    """The oldest of those that started before then; how many there were."""
    (rows,) = await store.write(Statement(_DELETE, {"before": before, "most": most}))
    return len(rows)
