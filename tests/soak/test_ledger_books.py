"""The ledger does what its books say, in many more orders of requests and accidents than in `make test`.

On SQLite alone: on PostgreSQL an order follows the clock of the database, and cannot be drawn twice alike.
"""

from __future__ import annotations

from tests.proxy.ledger.test_stateful import check_the_books


def test_the_ledger_does_what_its_books_say_in_many_orders() -> None:
    check_the_books(lambda: "sqlite", 300)
