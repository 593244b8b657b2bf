"""Settlements as rows: the ends of many requests are written together, and each balance moves once.

The rows of two settlements commute, so their order does not matter. An id that is there already makes the
whole batch fail: then each settlement is written alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, get_args

import msgspec

from proxy.storage.costs import Cost
from proxy.storage.entries import Entry
from proxy.storage.receipts import ReceiptRow
from proxy.storage.rows import columns
from proxy.storage.store import Value
from proxy.storage.usage import Outcome, UsageRow

_Row = tuple[Value, ...]


class End(msgspec.Struct, frozen=True):
    """The end of a request: its usage row, its entries, what its attempts cost, and its receipt."""

    outcome: Outcome
    usage: UsageRow
    entries: Sequence[Entry] = ()
    costs: Sequence[Cost] = ()
    receipt: ReceiptRow | None = None


class SettlementRows(NamedTuple):
    """The rows of some ends, table by table. `moves` has one row for each account and pool."""

    usage: list[_Row]
    entries: list[_Row]
    costs: list[_Row]
    receipts: list[_Row]
    moves: list[_Row]


def rows_of(ends: Sequence[End]) -> SettlementRows:
    """Turn ends into rows. The moves are in the order in which refunds move, so that none blocks another.

    That order is: by account, and an allowance before the granted credits, whose pool is 0.
    """
    astuple = msgspec.structs.astuple
    sums: dict[tuple[str, int], int] = {}
    entries: list[_Row] = []
    costs: list[_Row] = []
    receipts: list[_Row] = []
    for end in ends:
        for entry in end.entries:
            entries.append(astuple(entry))
            place = (entry.account, -entry.pool)
            sums[place] = sums.get(place, 0) + entry.amount
        costs.extend(map(astuple, end.costs))
        if end.receipt is not None:
            receipts.append(astuple(end.receipt))
    moves: list[_Row] = [(account, -pool, amount) for (account, pool), amount in sorted(sums.items())]
    return SettlementRows([astuple(end.usage) for end in ends], entries, costs, receipts, moves)


def _insert(table: str, type_: type[msgspec.Struct]) -> str:
    places = ", ".join("?" * len(type_.__struct_fields__))
    return f"INSERT INTO {table} ({columns(type_)}) VALUES ({places})"


INSERT_USAGE = _insert("usage", UsageRow)
INSERT_ENTRY = _insert("entries", Entry)
INSERT_COST = _insert("costs", Cost)
INSERT_RECEIPT = _insert("receipts", ReceiptRow)
_ADD = "ON CONFLICT (account, pool) DO UPDATE SET amount = balances.amount + excluded.amount"
MOVE_BALANCE = f"INSERT INTO balances (account, pool, amount) VALUES (?, ?, ?) {_ADD}"


def _array(annotation: object) -> str:
    """Return PostgreSQL's array type for the type of a field."""
    kinds = {annotation, *get_args(annotation)}
    if float in kinds:
        return "double precision[]"
    return "bigint[]" if int in kinds else "text[]"


def _insert_many(table: str, type_: type[msgspec.Struct], first: int) -> str:
    fields = msgspec.structs.fields(type_)
    arrays = ", ".join(f"${number}::{_array(field.type)}" for number, field in enumerate(fields, first))
    return f"INSERT INTO {table} ({columns(type_)}) SELECT * FROM unnest({arrays})"


_WIDTHS = [len(type_.__struct_fields__) for type_ in (UsageRow, Entry, Cost, ReceiptRow)] + [3]
_STARTS = [1 + sum(_WIDTHS[:number]) for number in range(len(_WIDTHS))]
# All of it in one statement, which is one round trip. $1 has the ids of the requests, whose holds end here.
POSTGRES_SETTLE = f"""
WITH ended AS (DELETE FROM holds WHERE request = ANY ($1::text[])),
spoken AS ({_insert_many("usage", UsageRow, _STARTS[0])}),
moved AS ({_insert_many("entries", Entry, _STARTS[1])}),
charged AS ({_insert_many("costs", Cost, _STARTS[2])}),
receipted AS ({_insert_many("receipts", ReceiptRow, _STARTS[3])})
INSERT INTO balances (account, pool, amount)
SELECT * FROM unnest(${_STARTS[4]}::text[], ${_STARTS[4] + 1}::bigint[], ${_STARTS[4] + 2}::bigint[]) {_ADD}
"""


def postgres_values(ends: Sequence[End]) -> list[Sequence[Value]]:
    """Return the arrays of `POSTGRES_SETTLE`, one for each column."""
    arrays: list[Sequence[Value]] = []
    for rows, width in zip(rows_of(ends), _WIDTHS, strict=True):
        arrays += zip(*rows, strict=True) if rows else [()] * width
    return arrays
