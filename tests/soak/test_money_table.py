"""The money table by one worker, which keeps its holds to itself."""

from __future__ import annotations

import pytest

from tests.faults.test_money_table import (
    PLANS,
    ROWS,
    Row,
    Table,
    expect_to_pay_what_was_billed,
    providers,
    table,
)

__all__ = ["providers", "table"]


@pytest.mark.parametrize("table", [1], indirect=True, ids=["one-worker"])
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.act.__name__)
def test_an_account_pays_what_its_provider_billed(table: Table, row: Row, plan: str) -> None:
    expect_to_pay_what_was_billed(table, row, plan)
