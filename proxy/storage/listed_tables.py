"""Tables whose rows belong to accounts: read a row, list pages, and add a row up to a limit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Generic, TypeVar

import msgspec

from proxy.storage.rows import PagePlace, chunks_in_turns, read_known
from proxy.storage.store import ALWAYS, Condition, Params, Row, Statement, Store, Value

R = TypeVar("R", bound=msgspec.Struct)

_LOCK_ACCOUNT = "UPDATE accounts SET id = id WHERE id = :account"
_ADD = """
INSERT INTO {table} ({columns}) SELECT {values}
WHERE NOT EXISTS (SELECT 1 FROM accounts WHERE id = :account AND closed IS NOT NULL)
AND (CAST(:most AS BIGINT) IS NULL
    OR (SELECT count(*) FROM {table} WHERE account = :account) < CAST(:most AS BIGINT))
AND {{only_if}} RETURNING {columns}
"""
_PAGE = "{at} <= :at AND ({at} < :at OR id < :id) AND {listed} ORDER BY {at} DESC, id DESC LIMIT :limit"
_NO_PARAMS: Params = {}


class ListedTable(Generic[R]):
    """A table with the columns of `type_`, except those in `without`. Rows are listed by the time `at`.

    Pages have only the rows for which the SQL condition `listed` is true. Rows for which `shown` is false are
    never read.
    """

    def __init__(
        self,
        table: str,
        type_: type[R],
        *,
        read: Callable[[Row], R] | None = None,
        at: str = "created",
        without: Collection[str] = (),
        listed: str = "1 = 1",
        shown: str = "1 = 1",
    ) -> None:
        self.read = read or partial(msgspec.convert, type=type_)
        # Each parameter is cast, because PostgreSQL cannot tell the type of NULL.
        self.placeholders = {
            each.name: f"CAST(:{each.name} AS {_sql_type(each.type)})"
            for each in msgspec.structs.fields(type_)
            if each.name not in without
        }
        self.columns = ", ".join(self.placeholders)
        self.select = f"SELECT {self.columns} FROM {table} WHERE {shown} AND"
        values = ", ".join(self.placeholders.values())
        self._add = _ADD.format(table=table, columns=self.columns, values=values)
        self._page = _PAGE.format(at=at, listed=listed)
        self._of_account = f"{self.select} account = :account ORDER BY {at} DESC, id DESC"
        self._place = f"SELECT {at} AS at FROM {table} WHERE {shown} AND id = :id"
        self._count = f"SELECT count(*) AS number FROM {table} WHERE {shown} AND account = :account"

    def add_statements(
        self, row: Params, most: int | None, only_if: Condition = ALWAYS
    ) -> tuple[Statement, ...]:
        """Return the statements that add a row, for one unit of work. The last statement returns the row.

        No row is added if the account has `most` rows already, if it is closed, or if `only_if` is false.
        """
        return (
            lock_account(row["account"]),
            *only_if.locks,
            Statement(self._add.format(only_if=only_if.sql), {**only_if.params, **row, "most": most}),
        )

    async def get(self, store: Store, account: str | None, id_: str) -> R | None:
        """Return the row with this id, or None. If `account` is not None, the row must belong to it."""
        sql = f"{self.select} id = :id{_and_account(account)}"
        rows = await store.read(sql, {"id": id_, "account": account})
        return self.read(rows[0]) if rows else None

    async def of_account(self, store: Store, account: str) -> list[R]:
        """List all rows of an account, the newest first."""
        return await self._read_rows(await store.read(self._of_account, {"account": account}))

    async def count(self, store: Store, account: str) -> int:
        (row,) = await store.read(self._count, {"account": account})
        return int(row["number"])

    async def page(
        self,
        store: Store,
        account: str | None,
        place: PagePlace,
        limit: int,
        listed_params: Params = _NO_PARAMS,
        only: Condition = ALWAYS,
    ) -> list[R]:
        """List the rows of one account, or of all accounts, behind this place, the newest first.

        `listed_params` are the parameters of the SQL condition `listed`. `only` is one more condition.
        """
        sql = self._page if account is None else f"account = :account AND {self._page}"
        params = {**listed_params, **only.params, "account": account}
        params |= {"at": place.at, "id": place.id, "limit": limit}
        return await self._read_rows(await store.read(f"{self.select} {only.sql} AND {sql}", params))

    async def _read_rows(self, rows: Sequence[Row]) -> list[R]:
        return [each async for chunk in chunks_in_turns(rows) for each in read_known(chunk, self.read)]

    async def place_of(self, store: Store, account: str | None, id_: str) -> PagePlace | None:
        """Return the place of a row, or None. If `account` is not None, the row must belong to it."""
        rows = await store.read(self._place + _and_account(account), {"id": id_, "account": account})
        return PagePlace(rows[0]["at"], id_) if rows else None


def lock_account(account: Value) -> Statement:
    """Return the statement that locks an account's row until the unit of work ends.

    Two units of work that add rows then run one after the other, and cannot both pass the limit.
    """
    return Statement(_LOCK_ACCOUNT, {"account": account})


def _and_account(account: str | None) -> str:
    return "" if account is None else " AND account = :account"


def _sql_type(type_: object) -> str:
    if type_ in (int, int | None):
        return "BIGINT"
    return "DOUBLE PRECISION" if type_ in (float, float | None) else "TEXT"
