"""`voxgate ledger verify`: check whether the rows of the books agree with each other.

The check changes nothing, and may run beside a busy server. It reads a few thousand rows at a time. It
compares rows as they are at one moment, or rows that are too old to change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec

from proxy.features.admin import ledger_slices
from proxy.features.admin.ledger_checks import ENTRY_CHECKS, USAGE_CHECKS
from proxy.storage.store import Params, Store

SLICE_ROWS = 5000
_MOST_SHOWN = 20
_LIVE = "SELECT count(*) AS live FROM holds WHERE expires > :now"
_WHOLE = "the database's file is whole"
_BALANCES = "a balance is the sum of its entries"


class Contradiction(msgspec.Struct, frozen=True):
    """A fault. `check` names the check, `subject` is the id of the account or request."""

    check: str
    subject: str
    found: str


class VerifyResult(msgspec.Struct, frozen=True):
    """How many rows were checked, and the first contradictions of each check."""

    is_clean: bool
    entries: int
    requests: int
    balances: int
    live_holds: int
    contradictions: list[Contradiction]


async def verify(store: Store) -> VerifyResult:
    """Check the books. It takes seconds for a million entries, and nothing else waits for it."""
    found = _Found()
    if damage := await store.find_damage():
        found.add(_WHOLE, "database", damage)
    now = await store.now()
    balances = 0
    async for account in ledger_slices.list_accounts(store):
        for pool in await ledger_slices.read_balances(store, account, now, SLICE_ROWS):
            balances += pool.has_balance_row
            if pool.balance != pool.sum_of_entries:
                difference = f"pool {pool.pool}: balance {pool.balance}, entries {pool.sum_of_entries}"
                found.add(_BALANCES, account, difference)
    requests = await _check_table(store, "usage", USAGE_CHECKS, found)
    entries = await _check_table(store, "entries", ENTRY_CHECKS, found)
    for table in store.tables:
        if table.checks:
            await _check_table(store, table.name, dict(table.checks), found)
    (holds,) = await store.read_long(_LIVE, {"now": now})
    return VerifyResult(not found.all, entries, requests, balances, holds["live"], found.all)


class _Found:
    def __init__(self) -> None:
        self.all: list[Contradiction] = []
        self._shown_by_check: Counter[str] = Counter()

    def add(self, check: str, subject: str, difference: str) -> None:
        contradiction = Contradiction(check, subject, difference)
        if self._shown_by_check[check] < _MOST_SHOWN and contradiction not in self.all:
            self._shown_by_check[check] += 1
            self.all.append(contradiction)


async def _check_table(store: Store, table: str, checks: Mapping[str, str], found: _Found) -> int:
    """Run the checks of a table over all its rows, slice by slice, and count the rows."""
    total, after = 0, ""
    while True:
        sql = f"SELECT id FROM {table} WHERE id > :after ORDER BY id LIMIT :most"
        bounds = f"SELECT max(id) AS upto, count(*) AS count FROM ({sql}) AS slice"
        (slice_,) = await store.read_long(bounds, {"after": after, "most": SLICE_ROWS})
        if not slice_["count"]:
            return total
        for name, query in checks.items():
            bounds_of_slice: Params = {"after": after, "upto": slice_["upto"]}
            for row in await store.read_long(f"{query} LIMIT {_MOST_SHOWN}", bounds_of_slice):
                found.add(name, row["subject"], row["found"])
        total += slice_["count"]
        after = slice_["upto"]
