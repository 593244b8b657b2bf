"""Costs: what providers took for every attempt of a request, whoever answered in the end."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from policies.costs import Rate
from proxy.ledger import Attempt, Ledger, Outcome
from proxy.storage import usage
from proxy.storage.store import Store
from tests.proxy.ledger.asking import Output, heard, moved, wanted

A_MINUTE, A_CHARACTER, A_UNIT = Rate(0.06, "minute"), Rate(0.0001, "character"), Rate(0.002, "unit")


def attempt(engine: str, output: Output, rate: Rate | None, *, was_dispatched: bool = True) -> Attempt:
    return Attempt(
        engine=engine, model="standard", characters=5, output=output, rate=rate, was_dispatched=was_dispatched
    )


async def costs(store: Store) -> list[tuple[Any, ...]]:
    rows = await store.read("SELECT * FROM costs ORDER BY request, attempt")
    return [(row["attempt"], row["engine"], row["audio_ms"], row["units"], row["micro_usd"]) for row in rows]


async def test_each_attempt_is_a_cost_of_its_own_losing_ones_too(store: Store, ledger: Ledger) -> None:
    async with ledger.hold(wanted()) as hold:
        hold.attempts += [
            attempt("one", Output(0.0), A_CHARACTER),
            attempt("two", Output(1.5, 7.0), A_UNIT),
            attempt("three", Output(30.0), A_MINUTE),
        ]
        heard(hold, 2, engine="three")
        await hold.settle("finished")
    assert await costs(store) == [
        (1, "one", 0, None, 500),
        (2, "two", 1_500, 7.0, 14_000),
        (3, "three", 30_000, None, 30_000),
    ]
    (row,) = await usage.list_(store)
    assert (row.micro_usd, row.units) == (44_500, 7.0)
    # Money that providers take moves no credits.
    assert await moved(store) == [("spend", False, -2)]


@pytest.mark.parametrize("outcome", get_args(Outcome))
async def test_the_cost_of_a_provider_is_on_record_however_the_request_ended(
    store: Store, ledger: Ledger, outcome: Outcome
) -> None:
    async with ledger.hold(wanted()) as hold:
        hold.attempts.append(attempt("one", Output(10.0), A_MINUTE))
        await hold.settle(outcome)
    assert await costs(store) == [(1, "one", 10_000, None, 10_000)]


async def test_an_attempt_that_was_refused_or_has_no_rate_costs_nothing(store: Store, ledger: Ledger) -> None:
    async with ledger.hold(wanted()) as hold:
        hold.attempts += [
            attempt("refused", Output(0.0), A_CHARACTER, was_dispatched=False),
            attempt("ours", Output(2.0), None),
            attempt("theirs", Output(2.0), A_CHARACTER),
        ]
        await hold.settle("finished")
    assert await costs(store) == [(1, "theirs", 2_000, None, 500)]


async def test_the_output_of_an_attempt_is_counted_when_it_is_settled(store: Store, ledger: Ledger) -> None:
    class Growing:
        seconds = 0.0
        units: float | None = None

    growing = Growing()
    async with ledger.hold(wanted()) as hold:
        hold.attempts.append(
            Attempt(engine="one", model="m", characters=5, output=growing, rate=A_MINUTE, was_dispatched=True)
        )
        growing.seconds = 60.0
        await hold.settle("finished")
        growing.seconds = 999.0
    assert await costs(store) == [(1, "one", 60_000, None, 60_000)]
