"""Every situation with every engine and every form of answer: the short twin has every two of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.faults.test_free_rides import CELLS, Bill, Cell, bills, expect_a_fair_bill
from tests.tables import each_row

__all__ = ["bills"]


@pytest.fixture(scope="module")
def cells() -> Sequence[Cell]:
    return CELLS


@each_row("cell", CELLS, ids=lambda cell: cell.name)
def test_what_is_received_is_charged_and_little_more(bills: dict[Cell, Bill | Exception], cell: Cell) -> None:
    expect_a_fair_bill(bills, cell)
