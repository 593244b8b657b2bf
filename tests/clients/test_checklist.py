"""The checklist, row by row: OpenAI's Python SDK (3.x) on a real port, against what `make serve` starts.

Of rows that name several clients this proves the one; the 1.x line and npm come with the other clients.
"""

from __future__ import annotations

import pytest

from tests.clients.checklist import ROWS, Row
from tests.clients.servers import Servers


@pytest.mark.parametrize("row", ROWS.values(), ids=[f"row-{number}" for number in ROWS])
def test_a_row_of_the_checklist(servers: Servers, row: Row) -> None:
    if row.prove is None:
        pytest.skip(f"{row.behaviour}: {row.reason}")
    row.prove(servers)


def test_every_row_is_proven_or_says_why_not() -> None:
    assert list(ROWS) == list(range(1, 41))
    for number, row in ROWS.items():
        assert row.behaviour, number
        assert (row.prove is None) == bool(row.reason), number


def test_no_two_rows_share_a_proof() -> None:
    proofs = [row.prove for row in ROWS.values() if row.prove is not None]
    assert len(set(proofs)) == len(proofs)
