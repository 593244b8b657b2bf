"""Settlements as rows. The ends of many requests are written together, and each balance changes once.

The order of settlements does not matter. If an id exists already, the whole batch fails, and each settlement
is written alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import get_args

import msgspec

from proxy.storage.costs import Cost
from proxy.storage.entries import Entry
from proxy.storage.rows import columns
from proxy.storage.store import Value
from proxy.storage.tables import Tables
from proxy.storage.usage import Outcome, UsageRow

_Row = tuple[Value, ...]


class End(msgspec.Struct, frozen=True):
    """The end of a request: its usage row, its entries, the costs of its attempts, and rows of features."""

    outcome: Outcome
    usage: UsageRow
    entries: Sequence[Entry] = ()
    costs: Sequence[Cost] = ()
    rows: Sequence[msgspec.Struct] = ()


def _insert(table: str, type_: type[msgspec.Struct], over: str) -> str:
    places = ", ".join("?" * len(type_.__struct_fields__))
    return f"INSERT INTO {table} ({columns(type_)}) VALUES ({places}) {over}"


_ADD_AMOUNT = "ON CONFLICT (account, pool) DO UPDATE SET amount = balances.amount + excluded.amount"


def _array_type(annotation: object) -> str:
    kinds = {annotation, *get_args(annotation)}
    if float in kinds:
        return "double precision[]"
    return "bigint[]" if int in kinds else "text[]"


def _insert_many(table: str, type_: type[msgspec.Struct], over: str, first: int) -> str:
    fields = msgspec.structs.fields(type_)
    arrays = ", ".join(f"${number}::{_array_type(field.type)}" for number, field in enumerate(fields, first))
    return f"INSERT INTO {table} ({columns(type_)}) SELECT * FROM unnest({arrays}) {over}"


_Settled = tuple[str, type[msgspec.Struct], str]
_KERNEL_TABLES: tuple[_Settled, ...] = (("usage", UsageRow, ""), ("entries", Entry, ""), ("costs", Cost, ""))


class Settlements:
    """The SQL of settlements for all tables of this version, and its parameters.

    `inserts` has one statement for a row of each table. The last one changes the balances.
    """

    def __init__(self, tables: Tables) -> None:
        added = [(each.name, each.settles, each.settles_over) for each in tables if each.settles is not None]
        kernel_and_added = [*_KERNEL_TABLES, *added]
        self._index_by_type = {each[1]: len(_KERNEL_TABLES) + number for number, each in enumerate(added)}
        # The last one is that of a balance: account, pool and amount.
        self._widths = [*(len(type_.__struct_fields__) for _, type_, _ in kernel_and_added), 3]
        self.inserts = (
            *(_insert(*each) for each in kernel_and_added),
            f"INSERT INTO balances (account, pool, amount) VALUES (?, ?, ?) {_ADD_AMOUNT}",
        )
        self.postgres = self._postgres(kernel_and_added)

    def _postgres(self, kernel_and_added: Sequence[_Settled]) -> str:
        """Return all inserts as one statement, for one round trip. It also ends the holds of the requests,
        whose ids are in $1."""
        starts = [1 + sum(self._widths[:number]) for number in range(len(self._widths))]
        written = ",\n".join(
            f"into_{each[0]} AS ({_insert_many(*each, start)})"
            for each, start in zip(kernel_and_added, starts, strict=False)
        )
        moves = starts[-1]
        return f"""
        WITH ended AS (DELETE FROM holds WHERE request = ANY ($1::text[])),
        {written}
        INSERT INTO balances (account, pool, amount)
        SELECT * FROM unnest(${moves}::text[], ${moves + 1}::bigint[], ${moves + 2}::bigint[]) {_ADD_AMOUNT}
        """

    def rows_of(self, ends: Sequence[End]) -> list[list[_Row]]:
        """Return the rows of ends, table by table as in `inserts`. The last ones change the balances: one row
        for each account and pool.

        These are ordered by account, and an allowance comes before the granted credits, whose pool is 0.
        Refunds lock balances in the same order, so that the two cannot deadlock.
        """
        astuple = msgspec.structs.astuple
        sums: dict[tuple[str, int], int] = {}
        rows: list[list[_Row]] = [[] for _ in self._widths]
        usage, entries, costs = rows[: len(_KERNEL_TABLES)]
        for end in ends:
            usage.append(astuple(end.usage))
            for entry in end.entries:
                entries.append(astuple(entry))
                key = (entry.account, -entry.pool)  # sorted, an allowance comes before the pool 0
                sums[key] = sums.get(key, 0) + entry.amount
            costs.extend(map(astuple, end.costs))
            for row in end.rows:
                rows[self._index_by_type[type(row)]].append(astuple(row))
        rows[-1] = [(account, -pool, amount) for (account, pool), amount in sorted(sums.items())]
        return rows

    def postgres_values(self, ends: Sequence[End]) -> list[Sequence[Value]]:
        """Return the arrays of `postgres`, one for each column."""
        arrays: list[Sequence[Value]] = []
        for rows, width in zip(self.rows_of(ends), self._widths, strict=True):
            arrays += zip(*rows, strict=True) if rows else [()] * width
        return arrays


settlements_of = cache(Settlements)
