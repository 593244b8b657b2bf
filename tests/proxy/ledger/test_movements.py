"""Grants, corrections, refunds: each once, each with its reason, and the books agree after every one."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from policies.price import MICRO
from proxy.errors import Conflict, InvalidRequest, NotFound
from proxy.features.admin import movements
from proxy.features.admin.movements import Reason
from proxy.features.admin.verify import verify
from proxy.ledger import Ledger, open_ledger
from proxy.storage import accounts, entries, usage
from proxy.storage.store import AlreadyExists, Store
from proxy.storage.usage import UsageRow
from proxy.telemetry.metrics import Metrics
from tests.proxy.ledger import asking
from tests.proxy.storage.watched import WatchedStore

TOLD = Reason("control", "a gift")
_DAY_S = 86_400
_IS_BLOCKED = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid)))"


@pytest.fixture
async def ledger(store: Store) -> AsyncIterator[Ledger]:
    """The books agree whatever a test did."""
    await asking.open_accounts(store, {"acc_ada": asking.ANCHOR})
    async with open_ledger(store, Metrics()) as opened:
        yield opened
    verdict = await verify(store)
    assert verdict.contradictions == []
    assert verdict.entries > 0


async def test_a_grant_is_an_entry_that_counts_at_once_and_for_good(ledger: Ledger, store: Store) -> None:
    before = await store.now()
    granted = await movements.grant(ledger, "acc_ada", 7 * MICRO, "invoice 1", TOLD)
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, 7, 0)
    (entry,) = await entries.list_of_account(store, "acc_ada", limit=9)
    assert entry == granted
    assert (entry.kind, entry.pool, entry.amount) == ("grant", entries.GRANTED, 7 * MICRO)
    assert (entry.actor, entry.reason, entry.reference) == ("control", "a gift", "invoice 1")
    assert before <= entry.at <= await store.now()
    async with open_ledger(store, Metrics()) as another:
        assert await asking.stands(another, asking.wanted()) == asking.Account(100, 7, 0)


async def test_a_payment_told_twice_is_granted_once(ledger: Ledger) -> None:
    first = await movements.grant(ledger, "acc_ada", 7 * MICRO, "invoice 1", TOLD)
    assert await movements.grant(ledger, "acc_ada", 7 * MICRO, "invoice 1", TOLD) == first
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, 7, 0)
    await movements.grant(ledger, "acc_ada", 7 * MICRO, "invoice 2", TOLD)
    await movements.grant(ledger, "acc_ada", 7 * MICRO, None, TOLD)
    await movements.grant(ledger, "acc_ada", 7 * MICRO, None, TOLD)
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, 28, 0)


async def test_a_payment_told_many_times_at_once_is_granted_once(ledger: Ledger) -> None:
    told = await asyncio.gather(
        *(movements.grant(ledger, "acc_ada", 7 * MICRO, "invoice 1", TOLD) for _ in range(20))
    )
    assert len({entry.id for entry in told}) == 1
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, 7, 0)


@pytest.mark.parametrize(("account", "credits"), [("acc_bob", 7), ("acc_ada", 8)])
async def test_a_reference_stands_for_one_payment(ledger: Ledger, account: str, credits: int) -> None:
    await movements.grant(ledger, "acc_ada", 7 * MICRO, "invoice 1", TOLD)
    with pytest.raises(Conflict) as caught:
        await movements.grant(ledger, account, credits * MICRO, "invoice 1", TOLD)
    assert caught.value.param == "reference"
    assert caught.value.message == "The reference 'invoice 1' was used for another grant."
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, 7, 0)
    assert await asking.stands(ledger, asking.wanted(account="acc_bob")) == asking.Account(100, 0, 0)


async def test_a_correction_takes_away_as_well(ledger: Ledger, store: Store) -> None:
    await movements.correct(ledger, "acc_ada", 3 * MICRO, TOLD)
    entry = await movements.correct(ledger, "acc_ada", -5 * MICRO, TOLD)
    assert (entry.kind, entry.amount, entry.reason) == ("correction", -5 * MICRO, "a gift")
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, -2, 0)
    assert {found.kind for found in await entries.list_of_account(store, "acc_ada", limit=9)} == {
        "correction"
    }


async def test_a_refund_gives_back_what_was_charged_where_it_came_from(ledger: Ledger, store: Store) -> None:
    await movements.grant(ledger, "acc_ada", 20 * MICRO, None, TOLD)
    request = asking.wanted(credits=8, under=asking.terms(5))
    await asking.speak(ledger, request, 8)
    assert await asking.stands(ledger, request) == asking.Account(0, 17, 0)
    back = await movements.refund(ledger, "req_1", None, Reason("key_admin", "a complaint"))
    assert [(entry.actor, entry.reason) for entry in back] == [("key_admin", "a complaint")] * 2
    assert await asking.stands(ledger, request) == asking.Account(5, 20, 0)
    assert await asking.moved(store) == [
        ("spend", False, -5),
        ("refund", False, 5),
        ("spend", True, -3),
        ("refund", True, 3),
    ]
    # What it was charged at the time stays as it was told.
    (row,) = await usage.list_newest(store)
    assert row.credits == 8 * MICRO


@pytest.mark.parametrize(
    ("credits", "stood"),
    [(1, asking.Account(0, 18, 0)), (3, asking.Account(0, 20, 0)), (4.5, asking.Account(1.5, 20, 0))],
)
async def test_a_refund_of_a_part_gives_back_first_what_was_spent_last(
    ledger: Ledger, credits: float, stood: asking.Account
) -> None:
    await movements.grant(ledger, "acc_ada", 20 * MICRO, None, TOLD)
    request = asking.wanted(credits=8, under=asking.terms(5))
    await asking.speak(ledger, request, 8)
    back = await movements.refund(ledger, "req_1", round(credits * MICRO), TOLD)
    assert sum(entry.amount for entry in back) == credits * MICRO
    assert all(entry.amount > 0 for entry in back)
    assert await asking.stands(ledger, request) == stood


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
async def test_a_refund_locks_balances_in_the_order_of_settlements(
    store_url: str, store: Store, ledger: Ledger
) -> None:
    """In the other order, a refund and a settlement of one account would block each other."""
    await movements.grant(ledger, "acc_ada", 20 * MICRO, None, TOLD)
    await asking.speak(ledger, asking.wanted(credits=8, under=asking.terms(5)), 8)
    other = await asyncpg.connect(store_url)
    try:
        async with other.transaction():
            await other.execute("SELECT 1 FROM balances WHERE pool <> 0 FOR UPDATE")
            refunding = asyncio.create_task(movements.refund(ledger, "req_1", None, TOLD))
            while not await other.fetchval(_IS_BLOCKED):  # noqa: ASYNC110 - only the database can tell
                await asyncio.sleep(0.01)
            await other.execute("SELECT 1 FROM balances WHERE pool = 0 FOR UPDATE NOWAIT")
        assert sum(entry.amount for entry in await refunding) == 8 * MICRO
    finally:
        await other.close()


@pytest.mark.parametrize("credits", [None, 1], ids=["whole", "in part"])
async def test_a_request_is_refunded_once(ledger: Ledger, credits: int | None) -> None:
    await movements.grant(ledger, "acc_ada", 20 * MICRO, None, TOLD)
    request = asking.wanted(credits=8, under=asking.terms(5))
    await asking.speak(ledger, request, 8)
    micro = None if credits is None else credits * MICRO
    await movements.refund(ledger, "req_1", micro, TOLD)
    after = await asking.stands(ledger, request)
    # The other pool's too, though the first refund gave it nothing.
    for again in (micro, None, MICRO):
        with pytest.raises(Conflict, match="req_1 was refunded before"):
            await movements.refund(ledger, "req_1", again, TOLD)
    assert await asking.stands(ledger, request) == after


async def test_one_of_many_refunds_at_once_is_done(ledger: Ledger) -> None:
    await asking.speak(ledger, asking.wanted(), 8)
    answers = await asyncio.gather(
        *(movements.refund(ledger, "req_1", None, TOLD) for _ in range(10)), return_exceptions=True
    )
    assert sum(isinstance(answer, Conflict) for answer in answers) == 9
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, 0, 0)


async def test_no_more_is_refunded_than_was_charged(ledger: Ledger) -> None:
    await asking.speak(ledger, asking.wanted(), 2.5)
    with pytest.raises(InvalidRequest, match=r"up to 2\.5, which is what the request was charged") as caught:
        await movements.refund(ledger, "req_1", 2_500_001, TOLD)
    assert caught.value.param == "credits"
    await movements.refund(ledger, "req_1", 2_500_000, TOLD)
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, 0, 0)


async def test_a_request_that_was_not_charged_is_not_refunded(ledger: Ledger) -> None:
    await movements.grant(ledger, "acc_ada", MICRO, None, TOLD)
    async with asking.holding(ledger, asking.wanted("req_failed")) as hold:
        await hold.settle("failed")
    async with asking.holding(ledger, asking.wanted("req_open")):
        for request in ("req_failed", "req_open", "req_nobody"):
            with pytest.raises(NotFound):
                await movements.refund(ledger, request, None, TOLD)
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, 1, 0)


@pytest.mark.parametrize(
    ("credits", "days", "stood"),
    [
        (None, 40, asking.Account(105, 25, 0)),
        (2, 40, asking.Account(105, 19, 0)),
        (4.5, 40, asking.Account(105, 21.5, 0)),
        (None, 3, asking.Account(105, 20, 0)),
    ],
)
async def test_credits_that_were_spent_in_a_cycle_that_is_over_come_back_as_granted_credits(
    timed: WatchedStore, credits: float | None, days: int, stood: asking.Account
) -> None:
    await asking.open_accounts(timed, {"acc_ada": asking.ANCHOR})
    async with open_ledger(timed, Metrics()) as ledger:
        await movements.grant(ledger, "acc_ada", 20 * MICRO, None, TOLD)
        await asking.speak(ledger, asking.wanted(credits=8, under=asking.terms(5)), 8)
        timed.seconds = days * _DAY_S
        micro = None if credits is None else round(credits * MICRO)
        back = await movements.refund(ledger, "req_1", micro, TOLD)
        assert {entry.at for entry in back} == {await timed.now()}
        assert await asking.stands(ledger, asking.wanted(under=asking.terms(105))) == stood
        with pytest.raises(Conflict):
            await movements.refund(ledger, "req_1", None, TOLD)
    assert (await verify(timed)).is_clean


async def test_less_than_nothing_cannot_be_refunded(ledger: Ledger) -> None:
    await asking.speak(ledger, asking.wanted(), 2)
    with pytest.raises(InvalidRequest):
        await movements.refund(ledger, "req_1", -1, TOLD)
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(98, 0, 0)


async def test_a_statement_beside_a_movement_is_written_with_it_or_not_at_all(
    ledger: Ledger, store: Store
) -> None:
    note = usage.insert_statement(_note("req_note"))
    await movements.grant(ledger, "acc_ada", MICRO, "invoice 1", Reason("control", extra_statements=(note,)))
    assert [row.id for row in await usage.list_newest(store)] == ["req_note"]
    # The same note cannot be written twice, and so neither can what it stands beside.
    with pytest.raises(AlreadyExists):
        await movements.correct(ledger, "acc_ada", MICRO, Reason("control", extra_statements=(note,)))
    # A grant that was there already writes nothing more.
    other = usage.insert_statement(_note("req_other"))
    await movements.grant(ledger, "acc_ada", MICRO, "invoice 1", Reason("control", extra_statements=(other,)))
    assert [row.id for row in await usage.list_newest(store)] == ["req_note"]
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, 1, 0)


async def test_grants_and_settlements_at_once_all_count(ledger: Ledger) -> None:
    await asyncio.gather(
        *(movements.grant(ledger, "acc_ada", MICRO, None, TOLD) for _ in range(20)),
        *(asking.speak(ledger, asking.wanted(f"req_{number}", 2), 2) for number in range(20)),
        *(movements.correct(ledger, "acc_ada", -MICRO // 2, TOLD) for _ in range(20)),
    )
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(60, 10, 0)
    await asyncio.gather(*(movements.refund(ledger, f"req_{number}", None, TOLD) for number in range(20)))
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, 10, 0)


def _note(id_: str) -> UsageRow:
    return UsageRow(
        id=id_,
        account="acc_bob",
        key="key_bob",
        started=asking.ANCHOR,
        engine="tone",
        model="standard",
        voice="alloy",
        language="en",
        characters=1,
        samples=0,
        sample_rate_hz=24_000,
        format="mp3",
        outcome="failed",
    )


async def _reset(ledger: Ledger) -> entries.Entry:
    account = await accounts.get(ledger.store, "acc_ada")
    assert account is not None
    return await movements.reset_cycle(ledger, account, lambda _amount, _reference: TOLD)


async def test_resets_of_a_cycle_at_once_give_back_once(ledger: Ledger, store: Store) -> None:
    """Two processes reset, while a request is under way and another one is settled."""
    async with open_ledger(store, Metrics()) as another, asking.holding(ledger, asking.wanted("req_9")):
        for number in (1, 2):
            await asking.speak(ledger, asking.wanted(f"req_{number}"), 10)
            resets = await asyncio.gather(
                *(_reset(each) for each in (ledger, another) * 3), return_exceptions=True
            )
            given = [each for each in resets if isinstance(each, entries.Entry)]
            late = [each for each in resets if isinstance(each, Conflict)]
            assert len(given) + len(late) == 6
            assert {(each.id, each.amount) for each in given} == {(given[0].id, 10 * MICRO)}
            pool, reference = given[0].pool, given[0].reference
            assert (given[0].kind, reference) == ("correction", f"reset:acc_ada:{pool}:{number}")
            assert (await entries.read_pools(store, "acc_ada"))[pool] == 0
        with pytest.raises(Conflict):
            await _reset(ledger)
    async with open_ledger(store, Metrics()) as fresh:
        assert await asking.stands(fresh, asking.wanted("req_3")) == asking.Account(100, 0, 0)


async def test_a_reset_counts_what_was_spent_beyond_it(ledger: Ledger) -> None:
    """A reset between two requests gives back the first one alone, and no granted credits."""
    await movements.grant(ledger, "acc_ada", 7 * MICRO, None, TOLD)
    await asking.speak(ledger, asking.wanted("req_1", 100), 100)
    await asking.speak(ledger, asking.wanted("req_2", 5), 5)
    await _reset(ledger)
    await asking.speak(ledger, asking.wanted("req_3"), 10)
    assert await asking.stands(ledger, asking.wanted("req_4")) == asking.Account(90, 2, 0)
