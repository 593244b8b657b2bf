"""How long the rows of a table stay: by the days of the configuration, or of the plan of their account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Self

from proxy.storage.store import Store

_DAY_US = 86_400_000_000

_OLD_BATCH = 100
# After a suspension, a row stays for the full time once more.
_OLD = """
SELECT {table}.id, {table}.account FROM {table} JOIN accounts ON accounts.id = {table}.account
WHERE {table}.{at} < :latest AND {table}.{at} < {before}
AND accounts.suspended IS NULL AND accounts.resumed < {before} ORDER BY {table}.{at} LIMIT :limit
"""


class StoredDays(NamedTuple):
    """How long the rows of a table stay: by the configuration, and on plans that say otherwise."""

    usual_us: int
    plans_us: Mapping[str, int]

    @classmethod
    def of(cls, days: float, by_plan: Mapping[str, float | None]) -> Self:
        """Make it of days. A plan with None has those of the configuration."""
        own = {name: round(each * _DAY_US) for name, each in by_plan.items() if each is not None}
        return cls(round(days * _DAY_US), own)

    @property
    def longest_us(self) -> int:
        return max([self.usual_us, *self.plans_us.values()])

    def us_of(self, plan: str) -> int:
        return self.plans_us.get(plan, self.usual_us)


async def list_old(store: Store, table: str, at: str, stored: StoredDays, now: int) -> list[tuple[str, str]]:
    """List id and account of some rows whose moment `at` was too long ago, the oldest first. Rows of
    suspended accounts stay."""
    shortest_us = min([stored.usual_us, *stored.plans_us.values()])
    params: dict[str, str | int] = {"before": now - stored.usual_us, "latest": now - shortest_us}
    cases = []
    for number, (plan, plan_us) in enumerate(sorted(stored.plans_us.items())):
        params |= {f"plan{number}": plan, f"before{number}": now - plan_us}
        cases.append(f"WHEN :plan{number} THEN CAST(:before{number} AS BIGINT)")
    usual = "CAST(:before AS BIGINT)"
    before = f"CASE accounts.plan {' '.join(cases)} ELSE {usual} END" if cases else usual
    sql = _OLD.format(table=table, at=at, before=before)
    rows = await store.read(sql, {**params, "limit": _OLD_BATCH})
    return [(row["id"], row["account"]) for row in rows]
