"""Each index of a table that every request writes has a query that needs it; there is no other such index."""

import pytest

from proxy.features.admin import ledger_slices, usage_sums
from proxy.storage import costs, entries, usage
from proxy.storage.store import Store
from proxy.storage.usage import Period
from tests.tables import each_row

_EXPECTED = {
    "usage": {"usage_by_account", "usage_by_time"},
    "entries": {"entries_by_account", "entries_by_reference"},
    "costs": {"costs_by_account", "costs_by_engine", "costs_of_runs"},
    "receipts": set[str](),
    "holds": {"holds_by_account"},
    "balances": set[str](),
}
_SQLITE = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = :table AND sql IS NOT NULL"
_POSTGRES = """
SELECT indexname AS name FROM pg_indexes
WHERE tablename = :table AND schemaname = current_schema() AND indexname NOT LIKE '%_pkey'
"""

_SUM_OF_ACCOUNT = f"SELECT engine, sum(credits) FROM usage WHERE {Period('acc').condition} GROUP BY engine"
_SUM_OF_ALL = f"SELECT engine, sum(credits) FROM usage WHERE {usage.IN_PERIOD} GROUP BY engine"


def _list(period: Period) -> str:
    return f"SELECT id FROM usage WHERE {period.condition} AND {usage._PAGE}"


_NEEDED = [
    ("usage_by_account", _list(Period("acc"))),
    ("usage_by_account", _list(Period("acc", tag="episode-1"))),
    ("usage_by_account", _SUM_OF_ACCOUNT),
    ("usage_by_time", _list(Period())),
    ("usage_by_time", _list(Period(tag="episode-1"))),
    ("usage_by_time", usage._DELETE),
    ("usage_by_time", _SUM_OF_ALL),
    ("entries_by_account", entries._OF_ACCOUNT),
    ("entries_by_account", ledger_slices._SUMS),
    ("entries_by_reference", entries._OF_REFERENCE),
    ("costs_by_engine", costs._OF_ENGINE),
    ("costs_by_account", costs._OF_ACCOUNT),
    # A request has no part in this one.
    ("costs_of_runs", f"SELECT job, sum(micro_usd) FROM costs WHERE {usage_sums.COSTS_OF_RUNS} GROUP BY job"),
    ("costs_of_runs", usage._DELETE_RUNS),
]


@each_row("table", _EXPECTED)
async def test_a_table_that_every_request_writes_has_no_other_index(store: Store, table: str) -> None:
    found = await store.read(_POSTGRES if store.is_shared else _SQLITE, {"table": table})
    assert {row["name"] for row in found} == _EXPECTED[table]


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@each_row(("index", "sql"), _NEEDED)
async def test_each_index_serves_its_query(store: Store, index: str, sql: str) -> None:
    names = (*usage.UsageRow.__struct_fields__, "since", "until", "at", "limit", "before", "most")
    names += ("reference", "owner", "upto_at", "upto_id")
    plan = await store.read(f"EXPLAIN QUERY PLAN {sql}", dict.fromkeys(names, 1))
    assert any(f"USING INDEX {index} " in row["detail"] + " " for row in plan), plan


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("table", "sql"),
    [
        ("costs", usage._DELETE_COSTS),
        ("receipts", f"DELETE FROM receipts WHERE request IN ({usage._OLDEST})"),
    ],
)
async def test_costs_and_receipts_are_deleted_by_their_key(store: Store, table: str, sql: str) -> None:
    plan = await store.read(f"EXPLAIN QUERY PLAN {sql}", {"before": 1, "most": 1})
    assert any(f"SEARCH {table} USING" in row["detail"] for row in plan), plan
