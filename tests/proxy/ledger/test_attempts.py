"""Costs: what providers took for every attempt of a request, whoever answered in the end."""

from typing import Any, get_args

import pytest

from policies.price import Rate
from proxy.ledger import Ledger, Outcome, SpentAttempt
from proxy.storage import usage
from proxy.storage.store import Store
from tests.proxy.ledger.asking import heard, holding, moved, wanted

A_MINUTE, A_CHARACTER, A_UNIT = Rate(0.06, "minute"), Rate(0.0001, "character"), Rate(0.002, "unit")


def attempt(engine: str, rate: Rate | None, seconds: float, units: float | None = None) -> SpentAttempt:
    return SpentAttempt(
        engine=engine, model="standard", characters=5, seconds=seconds, units=units, rate=rate
    )


async def costs(store: Store) -> list[tuple[Any, ...]]:
    rows = await store.read("SELECT * FROM costs ORDER BY request, attempt")
    return [(row["attempt"], row["engine"], row["audio_ms"], row["units"], row["micro_usd"]) for row in rows]


async def test_each_attempt_is_a_cost_of_its_own_losing_ones_too(store: Store, ledger: Ledger) -> None:
    async with holding(ledger, wanted()) as hold:
        heard(hold, 2, engine="three")
        hold.change(
            attempts=(
                attempt("one", A_CHARACTER, 0.0),
                attempt("two", A_UNIT, 1.5, 7.0),
                attempt("three", A_MINUTE, 30.0),
            )
        )
        await hold.settle("finished")
    assert await costs(store) == [
        (1, "one", 0, None, 500),
        (2, "two", 1_500, 7.0, 14_000),
        (3, "three", 30_000, None, 30_000),
    ]
    (row,) = await usage.list_newest(store)
    assert (row.micro_usd, row.units) == (44_500, 7.0)
    # Money that providers take moves no credits.
    assert await moved(store) == [("spend", False, -2)]


@pytest.mark.parametrize("outcome", get_args(Outcome))
async def test_the_cost_of_a_provider_is_on_record_however_the_request_ended(
    store: Store, ledger: Ledger, outcome: Outcome
) -> None:
    async with holding(ledger, wanted()) as hold:
        hold.change(attempts=(attempt("one", A_MINUTE, 10.0),))
        await hold.settle(outcome)
    assert await costs(store) == [(1, "one", 10_000, None, 10_000)]


async def test_an_attempt_without_a_rate_costs_nothing(store: Store, ledger: Ledger) -> None:
    async with holding(ledger, wanted()) as hold:
        hold.change(attempts=(attempt("ours", None, 2.0), attempt("theirs", A_CHARACTER, 2.0)))
        await hold.settle("finished")
    assert await costs(store) == [(1, "theirs", 2_000, None, 500)]
