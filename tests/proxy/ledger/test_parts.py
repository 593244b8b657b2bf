"""Several parts of one request: each by its own price, what was written of it, and the sum rounded once."""

import pytest

from policies.plans import Terms
from policies.price import MICRO, Price
from proxy.features.admin.verify import verify
from proxy.ledger import Ledger, Outcome
from proxy.storage import usage
from proxy.storage.store import Store
from tests.proxy.ledger.asking import (
    RATE_HZ,
    Said,
    heard_in_parts,
    holding,
    moved,
    part,
    submitted,
    terms,
    wanted,
)

MODELS = {
    "tone": Price(60 * MICRO, "minute"),
    "dear": Price(600 * MICRO, "minute"),
    "worded": Price(MICRO // 2, "character"),
    "flat": Price(3 * MICRO, "job"),
    "odd": Price(1, "minute"),
}


def priced() -> Terms:
    return terms(1000, models=MODELS)


async def charged(ledger: Ledger, store: Store, outcome: Outcome, seconds: float, *parts: Said) -> float:
    async with holding(ledger, wanted(credits=100, under=priced())) as hold:
        heard_in_parts(hold, *parts, samples=round(seconds * RATE_HZ))
        await hold.settle(outcome)
    assert (await verify(store)).is_clean
    (row,) = await usage.list_newest(store)
    assert row.credits == -sum(round(amount * MICRO) for _, _, amount in await moved(store))
    return row.credits / MICRO


@pytest.mark.parametrize(
    ("outcome", "seconds", "expected"),
    [
        # Two seconds at 1, three at 10, one of ten characters at a half, one of a job at 3.
        ("finished", 7, 2 + 30 + 5 + 3),
        ("left", 7, 2 + 30 + 5 + 3),
        ("left", 5.5, 2 + 30 + 5),
        ("left", 5, 2 + 30),
        ("left", 2.5, 2 + 5),
        ("left", 2, 2),
        ("left", 0.5, 0.5),
        ("left", 0, 0),
        ("failed", 7, 0),
        ("failed", 2.5, 0),
    ],
)
async def test_each_part_is_charged_by_its_own_model_for_what_was_written_of_it(
    ledger: Ledger, store: Store, outcome: Outcome, seconds: float, expected: float
) -> None:
    parts = [
        part("tone", 5, 2, 0),
        part("dear", 5, 3, 2 * RATE_HZ),
        part("worded", 10, 1, 5 * RATE_HZ),
        part("flat", 5, 1, 6 * RATE_HZ),
    ]
    assert await charged(ledger, store, outcome, seconds, *parts) == expected


async def test_a_part_that_has_not_begun_costs_nothing(ledger: Ledger, store: Store) -> None:
    parts = [part("tone", 5, 2, 0), part("worded", 10, 1, None)]
    assert await charged(ledger, store, "left", 9, *parts) == 9


async def test_the_sum_is_rounded_and_not_its_parts(ledger: Ledger, store: Store) -> None:
    """A micro-credit a minute, for six times ten seconds: one in all, and not six."""
    parts = [part("odd", 1, 10, number * 10 * RATE_HZ) for number in range(6)]
    assert await charged(ledger, store, "finished", 60, *parts) == 1 / MICRO


@pytest.mark.parametrize(
    ("engines", "price"),
    [
        (("tone", "tone"), Price(60 * MICRO, "minute")),
        (("worded", "worded"), Price(MICRO // 2, "character")),
        (("flat", "flat"), Price(3 * MICRO, "job")),
        (("tone", "worded"), Price(round(3.5 * MICRO), "job")),
    ],
)
async def test_the_row_has_a_price_that_its_charge_follows_from(
    ledger: Ledger, store: Store, engines: tuple[str, str], price: Price
) -> None:
    """One of several prices, or of jobs, is written down as the price of the whole."""
    first, second = engines
    await charged(ledger, store, "finished", 2, part(first, 5, 1, 0), part(second, 5, 1, RATE_HZ))
    (row,) = await usage.list_newest(store)
    assert Price(row.price_micro, row.price_per) == price


async def test_a_client_who_leaves_pays_for_the_parts_that_were_submitted_and_for_no_others(
    ledger: Ledger, store: Store
) -> None:
    async with holding(ledger, wanted(credits=100, under=priced())) as hold:
        parts = [part("tone", 5, 4, 0), part("dear", 5, 2, None), part("dear", 5, 7, None)]
        heard_in_parts(hold, *parts, samples=RATE_HZ)
        # The second was asked while the first one was heard; the third, by the same model, was not.
        submitted(hold, 1)
        await hold.settle("left")
    assert await moved(store) == [("spend", False, -(1 + 20))]


async def test_a_client_who_leaves_late_pays_for_all_that_was_heard_of_a_submitted_part(
    ledger: Ledger, store: Store
) -> None:
    async with holding(ledger, wanted(credits=100, under=priced())) as hold:
        heard_in_parts(hold, part("tone", 5, 2, 0), samples=3 * RATE_HZ)
        submitted(hold)
        await hold.settle("left")
    assert await moved(store) == [("spend", False, -3)]


async def test_a_client_who_stays_pays_for_what_was_heard_of_a_submitted_part(
    ledger: Ledger, store: Store
) -> None:
    async with holding(ledger, wanted(credits=100, under=priced())) as hold:
        heard_in_parts(hold, part("tone", 5, 7, 0), samples=3 * RATE_HZ)
        submitted(hold)
        await hold.settle("finished")
    assert await moved(store) == [("spend", False, -3)]
