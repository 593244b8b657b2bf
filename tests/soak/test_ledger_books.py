"""The ledger does what its books say, in many more orders of requests and accidents than in `make test`."""

from __future__ import annotations

from collections.abc import Callable

from tests.databases import shared_postgres
from tests.proxy.ledger.test_stateful import check_the_books, new_url

__all__ = ["new_url", "shared_postgres"]


def test_the_ledger_does_what_its_books_say_in_many_orders(new_url: Callable[[], str]) -> None:
    check_the_books(new_url, 300)
