"""Any order of requests, money and accidents: the ledger does what its `books` say, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.databases import ALL_STORES, Postgres
from tests.proxy.ledger.machine import LedgerMachine
from tests.tables import soak


@pytest.fixture
def new_url(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """An empty database each time; the last one is over then."""
    if request.param == "sqlite":
        yield lambda: "sqlite"
        return
    server: Postgres = request.getfixturevalue("shared_postgres")
    with ExitStack() as lent:

        def url() -> str:
            lent.close()
            return server.url(search_path=lent.enter_context(server.lent_schema()))

        yield url


# On PostgreSQL an order follows the clock of the database, and cannot be drawn twice alike.
@pytest.mark.parametrize(
    ("new_url", "examples"),
    [*((store, 10) for store in ALL_STORES), *soak(("sqlite", 300))],
    indirect=["new_url"],
)
def test_the_ledger_does_what_its_books_say(new_url: Callable[[], str], examples: int) -> None:
    run_state_machine_as_test(
        type("Machine", (LedgerMachine,), {"new_url": staticmethod(new_url)}),
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
