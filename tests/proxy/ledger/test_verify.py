"""`ledger verify`: it says nothing of books that agree, and finds every row that somebody changed by hand."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from policies.price import MICRO, Price
from proxy.features.admin import ledger_slices, movements
from proxy.features.admin.movements import Reason
from proxy.features.admin.verify import Contradiction, verify
from proxy.ledger import Ledger, open_ledger
from proxy.storage import entries
from proxy.storage.store import Statement, Store
from proxy.telemetry.metrics import Metrics
from tests.proxy.ledger.asking import ANCHOR, heard, holding, open_accounts, speak, submitted, terms, wanted

TOLD = Reason("control")
_SETTLED_US = ledger_slices.SETTLED_US


@pytest.fixture(autouse=True, params=[(2, 0), (5000, _SETTLED_US)], ids=["in slices", "at once"])
def _slices(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few rows are looked at in one go, and however old they are."""
    rows, settled_us = request.param
    monkeypatch.setattr("proxy.features.admin.verify.SLICE_ROWS", rows)
    monkeypatch.setattr("proxy.features.admin.ledger_slices.SETTLED_US", settled_us)


@pytest.fixture
async def ledger(store: Store) -> AsyncIterator[Ledger]:
    """A bit of everything: paid from one pool and from two, failed, left, by character, refunded."""
    await open_accounts(store, {"acc_ada": ANCHOR})
    async with open_ledger(store, Metrics()) as opened:
        await movements.grant(opened, "acc_ada", 20 * MICRO, "invoice 1", TOLD)
        await movements.correct(opened, "acc_bob", -2 * MICRO, TOLD)
        await speak(opened, wanted("req_one", 4), 4)
        await speak(opened, wanted("req_two", 8, under=terms(9)), 7)
        await speak(opened, wanted("req_text", under=terms(price=Price(MICRO, "character"))), 1)
        await speak(opened, wanted("req_job", under=terms(price=Price(MICRO, "job"))), 1)
        await speak(opened, wanted("req_silent"), 0)
        async with holding(opened, wanted("req_failed")) as hold:
            heard(hold, 1)
        async with holding(opened, wanted("req_left")) as hold:
            heard(hold, 0)
            submitted(hold)
            await hold.settle("left")
        await movements.refund(opened, "req_one", MICRO, TOLD)
        yield opened


async def found(store: Store, *sql: str) -> list[Contradiction]:
    """After the books were clean and these changes were made."""
    assert (await verify(store)).is_clean
    await store.write(*map(Statement, sql))
    verdict = await verify(store)
    assert verdict.is_clean == (not verdict.contradictions)
    return verdict.contradictions


async def test_books_that_agree_are_clean_and_counted(store: Store, ledger: Ledger) -> None:
    async with holding(ledger, wanted("req_open")):
        verdict = await verify(store)
    assert (verdict.is_clean, verdict.contradictions) == (True, [])
    assert (verdict.entries, verdict.requests, verdict.balances) == (9, 7, 3)
    # A hold in memory is nobody else's business.
    assert verdict.live_holds == (1 if store.is_shared else 0)


async def test_an_empty_ledger_is_clean(store: Store) -> None:
    verdict = await verify(store)
    assert (verdict.is_clean, verdict.entries, verdict.balances) == (True, 0, 0)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE balances SET amount = amount + 1 WHERE account = 'acc_bob'",
        "DELETE FROM balances WHERE account = 'acc_bob'",
        "UPDATE entries SET amount = amount + 1 WHERE account = 'acc_bob'",
        "DELETE FROM entries WHERE account = 'acc_bob'",
        "UPDATE entries SET pool = 1 WHERE account = 'acc_bob'",
        "INSERT INTO balances (account, pool, amount) VALUES ('acc_bob', 7, 1)",
    ],
)
async def test_a_balance_that_is_not_the_sum_of_its_entries(
    store: Store, ledger: Ledger, change: str
) -> None:
    contradictions = await found(store, change)
    assert {(found.check, found.subject) for found in contradictions} == {
        ("a balance is the sum of its entries", "acc_bob")
    }


async def test_the_two_sums_are_told(store: Store, ledger: Ledger) -> None:
    (contradiction,) = await found(store, "UPDATE balances SET amount = 5 WHERE account = 'acc_bob'")
    assert contradiction.found == "pool 0: balance 5, entries -2000000"


async def test_a_request_that_says_another_charge_than_its_entries(store: Store, ledger: Ledger) -> None:
    contradictions = await found(store, "UPDATE usage SET credits = credits + 1 WHERE id = 'req_left'")
    assert contradictions == [
        Contradiction("a request costs what its entries say", "req_left", "usage 10000001, entries 10000000")
    ]


async def test_a_request_whose_entries_are_gone(store: Store, ledger: Ledger) -> None:
    contradictions = await found(store, "DELETE FROM entries WHERE request = 'req_left'")
    assert ("a request costs what its entries say", "req_left") in {
        (found.check, found.subject) for found in contradictions
    }


@pytest.mark.parametrize("request_id", ["req_two", "req_text", "req_job"])
async def test_a_charge_that_does_not_follow_from_its_price(
    store: Store, ledger: Ledger, request_id: str
) -> None:
    change = f"UPDATE usage SET price_micro = price_micro * 2 WHERE id = '{request_id}'"
    (contradiction,) = await found(store, change)
    assert (contradiction.check, contradiction.subject) == ("a charge follows from its price", request_id)


async def test_a_charge_for_what_was_never_heard(store: Store, ledger: Ledger) -> None:
    (contradiction,) = await found(store, "UPDATE usage SET samples = 0 WHERE id = 'req_job'")
    assert contradiction == Contradiction(
        "a charge follows from its price", "req_job", "finished, 1000000 for 0 samples"
    )


async def test_a_failure_that_was_charged(store: Store, ledger: Ledger) -> None:
    (contradiction,) = await found(store, "UPDATE usage SET outcome = 'failed' WHERE id = 'req_left'")
    assert (contradiction.check, contradiction.subject) == (
        "what failed was not charged, or was given back",
        "req_left",
    )


@pytest.mark.parametrize(
    "changes",
    [
        (
            "UPDATE entries SET amount = -6000000 WHERE id = 'req_left:allowance'",
            "INSERT INTO entries (id, account, pool, amount, kind, at, request, reason, actor) "
            "SELECT 'ent_twice', account, pool, -4000000, kind, at, request, reason, actor "
            "FROM entries WHERE id = 'req_left:allowance'",
        ),
        ("UPDATE usage SET account = 'acc_bob' WHERE id = 'req_left'",),
    ],
    ids=["twice", "another account's"],
)
async def test_a_request_that_spends_twice_or_for_somebody_else(
    store: Store, ledger: Ledger, changes: tuple[str, ...]
) -> None:
    assert ("no request spends from one pool twice, or for another account", "req_left") in {
        (found.check, found.subject) for found in await found(store, *changes)
    }


async def test_more_given_back_than_was_charged(store: Store, ledger: Ledger) -> None:
    contradictions = await found(
        store,
        "UPDATE entries SET amount = 4000001 WHERE id = 'req_one:allowance:refund'",
        "UPDATE balances SET amount = amount + 3000001 WHERE account = 'acc_ada' AND pool <> 0",
        "UPDATE usage SET refunded = 4000001 WHERE id = 'req_one'",
    )
    assert contradictions == [
        Contradiction("nothing is refunded beyond what was charged", "req_one", "left to pay: -1")
    ]


async def test_a_refund_that_its_request_does_not_show(store: Store, ledger: Ledger) -> None:
    (contradiction,) = await found(store, "UPDATE usage SET refunded = 5 WHERE id = 'req_one'")
    assert contradiction == Contradiction(
        "a request shows what was given back of it", "req_one", "usage 5, entries 1000000"
    )


async def test_usage_rows_that_are_not_kept_any_more_are_not_missed(store: Store, ledger: Ledger) -> None:
    assert await found(store, "DELETE FROM usage") == []


async def test_the_first_of_many_contradictions_are_shown(store: Store, ledger: Ledger) -> None:
    rows = ", ".join(f"('acc_{number}', 1, 1)" for number in range(50))
    contradictions = await found(store, f"INSERT INTO balances (account, pool, amount) VALUES {rows}")
    assert len(contradictions) == 20


async def test_beside_a_busy_ledger_nothing_seems_wrong(
    store: Store, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.features.admin.ledger_slices.SETTLED_US", _SETTLED_US)
    stop = asyncio.Event()
    speaking = asyncio.create_task(_speak_on(ledger, stop))
    try:
        while len(await entries.list_of_account(store, "acc_ada", limit=99)) < 50:
            verdict = await verify(store)
            assert verdict.contradictions == []
    finally:
        stop.set()
        await speaking


async def _speak_on(ledger: Ledger, stop: asyncio.Event) -> None:
    under, round_ = terms(None), 0
    while not stop.is_set():
        round_ += 1
        await asyncio.gather(
            *(speak(ledger, wanted(f"req_{round_}_{number}", 1, under=under), 1) for number in range(10)),
            movements.grant(ledger, "acc_ada", MICRO, None, TOLD),
        )
        await movements.refund(ledger, f"req_{round_}_0", None, TOLD)
