"""Usage: one row for each request that spoke or tried to. It is written once, at the end."""

from __future__ import annotations

from typing import Literal

import msgspec

from policies.price import Operation, Per
from proxy.storage.rows import LAST_MOMENT, NEWEST, PagePlace, columns, insert, insert_sql, read_known
from proxy.storage.store import Params, Statement, Store

Outcome = Literal["finished", "left", "failed"]


class Period(msgspec.Struct, frozen=True):
    """The rows of usage from `since` to before `until`, of an account and with a tag. None is any."""

    account: str | None = None
    since: int = 0
    until: int = LAST_MOMENT
    tag: str | None = None

    @property
    def condition(self) -> str:
        """The SQL condition of its rows of usage."""
        account = "" if self.account is None else " AND account = :account"
        return IN_PERIOD + account + self.of_tag

    @property
    def of_tag(self) -> str:
        return "" if self.tag is None else " AND tag = :tag"


class CheckSums(msgspec.Struct, frozen=True):
    """The result of hearing an answer, without its words: the seconds that were heard and those that were
    not, the parts that were spoken again, the places that stayed wrong, and the seconds that are free."""

    checked_s: float
    unchecked_s: float
    again: int
    wrong: int
    free_s: float

    @classmethod
    def of_column(cls, checked: str | None) -> CheckSums | None:
        """Read the column `checked` of a row."""
        return msgspec.json.decode(checked, type=cls) if checked else None


IS_WRONG = """usage.checked <> '' AND usage.checked NOT LIKE '%"wrong":0,%'"""
"""The SQL condition of rows with something that stayed wrong."""


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """The record of a request. `samples` were written, at `sample_rate_hz`.

    `credits` are micro-credits. `micro_usd` and `units` are what providers charged for all attempts.
    `refunded` micro-credits were given back later. Only `refunded` ever changes. The row of a clone has the
    id of its row in `bindings`. `job` is the job that the request is a step of. `substitute` are the voices
    that replaced the requested ones, as the answer stated. `tag` was set by the client. `checked` is
    `CheckSums` as JSON, "" without a check.
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
    kind: Operation = "speech"
    job: str = ""
    substitute: str = ""
    tag: str = ""
    checked: str = ""


_COLUMNS = columns(UsageRow)
_INSERT = insert_sql("usage", UsageRow)
IN_PERIOD = "started >= :since AND started < :until"
_PAGE = "started <= :at AND (started < :at OR id < :id) ORDER BY started DESC, id DESC LIMIT :limit"
_PLACE = "SELECT started FROM usage WHERE id = :id"
_PLACE_OF_ACCOUNT = f"{_PLACE} AND account = :account"
_OLDEST = "SELECT id FROM usage WHERE started < :before ORDER BY started, id LIMIT :most"
# Rows of a request are deleted with it, so they need no index by time.
_DELETE_COSTS = f"DELETE FROM costs WHERE request IN ({_OLDEST}) RETURNING attempt"
_DELETE_RUNS = "DELETE FROM costs WHERE job IS NOT NULL AND at < :before RETURNING attempt"
# This locks a row, so that of two deletions at once the later one sees in all its statements what the other
# has deleted.
_IN_TURN = "UPDATE schema_version SET applied = applied WHERE version = 1"
_DELETE = f"DELETE FROM usage WHERE id IN ({_OLDEST}) RETURNING id"
_REFUNDED = "UPDATE usage SET refunded = :amount WHERE id = :id"
_FINISHED = "SELECT started FROM usage WHERE id = :id AND account = :account AND outcome = 'finished'"


def insert_statement(row: UsageRow) -> Statement:
    """Return the statement that writes a row, for the commit of its entries. If the row exists, the commit
    fails with AlreadyExists."""
    return insert(_INSERT, row)


def refund_statement(request: str, amount: int) -> Statement:
    """Return the statement that notes a refund, for the commit of its entries. It does nothing if the row was
    deleted."""
    return Statement(_REFUNDED, {"id": request, "amount": amount})


async def list_newest(
    store: Store,
    *,
    account: str | None = None,
    since: int = 0,
    until: int = LAST_MOMENT,
    limit: int = 1000,
) -> list[UsageRow]:
    return await list_page(store, Period(account, since, until), NEWEST, limit)


async def list_page(
    store: Store, period: Period, place: PagePlace, limit: int, *, is_one_of_many: bool = False
) -> list[UsageRow]:
    """List rows behind a place, the newest first. If it `is_one_of_many` pages, it does not delay `read`."""
    parameters: Params = {**msgspec.structs.asdict(period), "at": place.at, "id": place.id, "limit": limit}
    read = store.read_long if is_one_of_many else store.read
    rows = await read(f"SELECT {_COLUMNS} FROM usage WHERE {period.condition} AND {_PAGE}", parameters)
    return read_known(rows, UsageRow)


async def find_place(store: Store, id_: str, account: str | None) -> PagePlace | None:
    """Find the place of a request, of this account if `account` is not None."""
    sql = _PLACE if account is None else _PLACE_OF_ACCOUNT
    rows = await store.read(sql, {"id": id_, "account": account})
    return PagePlace(rows[0]["started"], id_) if rows else None


async def find_finished(store: Store, id_: str, account: str) -> int | None:
    """Give the start of a request of this account that was spoken to its end, or None."""
    rows = await store.read(_FINISHED, {"id": id_, "account": account})
    return int(rows[0]["started"]) if rows else None


async def is_stored(store: Store, id_: str) -> bool:
    """Tell whether the end of a request or a clone was written."""
    return bool(await store.read(_PLACE, {"id": id_}))


async def delete_oldest(store: Store, before: int, most: int) -> tuple[int, int]:
    """Delete up to `most` rows from before this moment with all rows of their requests, and the costs of runs
    on rented machines. Return the numbers of deleted rows of usage and of costs."""
    batch: Params = {"before": before, "most": most}
    others = [
        f"DELETE FROM {table.name} WHERE {table.request} IN ({_OLDEST})"
        for table in store.tables
        if table.request
    ]
    deletions = (_IN_TURN, _DELETE_COSTS, _DELETE_RUNS, *others, _DELETE)
    _, costs, of_runs, *_, rows = await store.write(*(Statement(sql, batch) for sql in deletions))
    return len(rows), len(costs) + len(of_runs)
