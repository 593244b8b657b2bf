"""hold → settle: what a request is charged for what was heard of it, and from where."""

import asyncio
from typing import get_args

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from policies.price import MICRO, Price
from proxy.features.admin import movements
from proxy.features.admin.movements import Reason
from proxy.features.admin.verify import verify
from proxy.ledger import Ledger, Outcome, open_ledger
from proxy.storage import usage
from proxy.storage.store import StorageFailed, Store
from proxy.telemetry.metrics import Metrics
from tests.proxy.ledger import asking
from tests.proxy.storage.watched import WatchedStore

A_CHARACTER, A_JOB = Price(MICRO // 100, "character"), Price(3 * MICRO, "job")
TOLD = Reason("control")
_DAY_S = 86_400


async def test_a_jobs_hold_is_no_stream_and_its_usage_names_its_key(store: Store, ledger: Ledger) -> None:
    one_stream = asking.terms(streams=1, key_streams=1)
    listener, job = (
        asking.wanted(under=one_stream),
        replace(asking.wanted("job_1_1", under=one_stream), is_stream=False),
    )
    async with (
        asking.holding(ledger, job) as of_job,
        asking.holding(ledger, listener),
        asking.holding(ledger, replace(job, request_id="job_1_2")),
    ):
        assert await asking.stands(ledger, listener) == asking.Account(70, 0, 1)
        asking.heard(of_job, 2)
        await of_job.settle("finished")
    (row,) = [row for row in await usage.list_newest(store) if row.outcome == "finished"]
    assert (row.id, row.key, row.credits) == ("job_1_1", "key_ada", 2 * MICRO)
    assert await asking.stands(ledger, listener) == asking.Account(98, 0, 0)


@pytest.mark.parametrize(
    ("price", "outcome", "seconds", "charged"),
    [
        (asking.A_SECOND, "finished", 1.5, 1.5),
        (asking.A_SECOND, "finished", 1 / asking.RATE_HZ, 0.000042),
        (asking.A_SECOND, "left", 0.5, 0.5),
        (asking.A_SECOND, "left", 0, 0),
        (asking.A_SECOND, "failed", 1.5, 0),
        (A_CHARACTER, "finished", 1.5, 0.05),
        (A_CHARACTER, "left", 0.5, 0.05),
        (A_CHARACTER, "left", 0, 0),
        (A_CHARACTER, "failed", 1.5, 0),
        (A_JOB, "finished", 1.5, 3),
        (A_JOB, "left", 0.5, 3),
        (A_JOB, "left", 0, 0),
        (A_JOB, "failed", 1.5, 0),
    ],
)
async def test_a_charge_follows_from_price_outcome_and_what_was_heard(
    store: Store, ledger: Ledger, price: Price, outcome: Outcome, seconds: float, charged: float
) -> None:
    request = asking.wanted(under=asking.terms(price=price))
    async with asking.holding(ledger, request) as hold:
        assert await asking.stands(ledger, request) == asking.Account(90, 0, 1)
        asking.heard(hold, seconds)
        await hold.settle(outcome)
        assert await asking.stands(ledger, request) == asking.Account(100 - charged, 0, 0)
    (row,) = await usage.list_newest(store)
    assert (row.credits / MICRO, row.price_micro, row.price_per) == (charged, price.micro, price.per)
    assert await asking.moved(store) == ([("spend", False, -charged)] if charged else [])
    assert (await verify(store)).is_clean


@pytest.mark.parametrize(("price", "charged"), [(asking.A_SECOND, 10), (A_CHARACTER, 0.05), (A_JOB, 3)])
async def test_a_client_who_leaves_an_engine_that_bills_on_submit_pays_for_the_whole_text(
    ledger: Ledger, store: Store, price: Price, charged: float
) -> None:
    async with asking.holding(ledger, asking.wanted(under=asking.terms(price=price))) as hold:
        asking.heard(hold, 0)
        asking.submitted(hold)
        await hold.settle("left")
    assert await asking.moved(store) == [("spend", False, -charged)]
    async with asking.holding(ledger, asking.wanted("req_2", under=asking.terms(price=price))) as hold:
        asking.heard(hold, 12)
        asking.submitted(hold)
        await hold.settle("left")
    # More than the estimate was heard.
    assert await asking.moved(store, "req_2") == [
        ("spend", False, -max(charged, 12 if price is asking.A_SECOND else 0))
    ]


@pytest.mark.parametrize("outcome", get_args(Outcome))
async def test_a_settlement_is_one_row_of_what_was_spent(
    store: Store, ledger: Ledger, outcome: Outcome
) -> None:
    before = await store.now()
    async with asking.holding(ledger, asking.wanted()) as hold:
        asking.heard(hold, 0.02)
        hold.change(format="mp3")
        await hold.settle(outcome)
        (row,) = await usage.list_newest(store)
    assert (row.id, row.account, row.key, row.outcome) == ("req_1", "acc_ada", "key_ada", outcome)
    assert (row.engine, row.samples, row.format) == ("tone", 480, "mp3")
    assert before <= row.started <= await store.now()


async def test_only_the_first_settlement_counts(store: Store, ledger: Ledger) -> None:
    async with asking.holding(ledger, asking.wanted()) as hold:
        asking.heard(hold, 1)
        await hold.settle("finished")
        hold.change(samples=999, charged_samples=999)
        await hold.settle("failed")
    (row,) = await usage.list_newest(store)
    assert (row.outcome, row.samples, row.credits) == ("finished", asking.RATE_HZ, MICRO)
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(99, 0, 0)


async def test_a_request_left_unsettled_has_failed_and_holds_nothing(store: Store, ledger: Ledger) -> None:
    async with asking.holding(ledger, asking.wanted("req_1")):
        pass
    with pytest.raises(ZeroDivisionError):
        async with asking.holding(ledger, asking.wanted("req_2")):
            raise ZeroDivisionError
    begun = asyncio.Event()

    async def waits() -> None:
        async with asking.holding(ledger, asking.wanted("req_3")):
            begun.set()
            await asyncio.Event().wait()

    waiting = asyncio.create_task(waits())
    await begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert [row.outcome for row in await usage.list_newest(store)] == ["failed"] * 3
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, 0, 0)


async def test_a_cheaper_engine_in_the_place_of_a_dearer_one_costs_its_own_price(
    store: Store, ledger: Ledger
) -> None:
    under = asking.terms(
        models={"dear": Price(600 * MICRO, "minute"), "cheap/standard": Price(6 * MICRO, "minute")}
    )
    async with asking.holding(ledger, asking.wanted(credits=100, under=under)) as hold:
        asking.heard(hold, 10, engine="cheap")
        await hold.settle("finished")
    assert await asking.moved(store) == [("spend", False, -1)]
    assert await asking.stands(ledger, asking.wanted(under=under)) == asking.Account(99, 0, 0)


async def test_a_cached_answer_costs_the_price_of_cached_speech(store: Store, ledger: Ledger) -> None:
    async with asking.holding(ledger, asking.wanted()) as hold:
        asking.heard(hold, 10)
        hold.change(cache="hit")
        await hold.settle("finished")
    assert await asking.moved(store) == [("spend", False, -0.1)]


async def test_a_hold_keeps_its_price_while_the_plan_changes(store: Store, ledger: Ledger) -> None:
    dearer = asking.terms(50, price=Price(120 * MICRO, "minute"))
    async with asking.holding(ledger, asking.wanted("req_1")) as hold:
        await asking.speak(ledger, asking.wanted("req_2", under=dearer), 4)
        asking.heard(hold, 5)
        await hold.settle("finished")
    assert await asking.moved(store, "req_1") == [("spend", False, -5)]
    assert await asking.moved(store, "req_2") == [("spend", False, -8)]
    # The new plan's allowance counts at once, and what was spent stays spent.
    assert await asking.stands(ledger, asking.wanted(under=dearer)) == asking.Account(50 - 5 - 8, 0, 0)


async def test_the_allowance_is_spent_first_and_then_what_was_granted(store: Store, ledger: Ledger) -> None:
    await movements.grant(ledger, "acc_ada", 20 * MICRO, None, TOLD)
    request = asking.wanted(credits=8, under=asking.terms(5))
    async with asking.holding(ledger, request) as hold:
        assert await asking.stands(ledger, request) == asking.Account(0, 17, 1)
        asking.heard(hold, 6)
        await hold.settle("finished")
    assert await asking.moved(store) == [("spend", False, -5), ("spend", True, -1)]
    assert await asking.stands(ledger, request) == asking.Account(0, 19, 0)


async def test_a_charge_beyond_the_hold_is_taken_from_the_pool_that_paid_last(
    store: Store, ledger: Ledger
) -> None:
    await movements.grant(ledger, "acc_ada", 20 * MICRO, None, TOLD)
    await asking.speak(ledger, asking.wanted("req_1", 2, under=asking.terms(5)), 7)
    assert await asking.moved(store, "req_1") == [("spend", False, -7)]
    await asking.speak(ledger, asking.wanted("req_2", 2, under=asking.terms(8)), 25)
    assert await asking.moved(store, "req_2") == [("spend", False, -1), ("spend", True, -24)]
    assert await asking.stands(ledger, asking.wanted(under=asking.terms(8))) == asking.Account(0, -4, 0)


async def test_an_account_with_nothing_left_still_does_what_is_free(store: Store, ledger: Ledger) -> None:
    await asking.speak(ledger, asking.wanted("req_1", 5, under=asking.terms(5)), 9)
    await asking.speak(ledger, asking.wanted("req_2", 0, under=asking.terms(5, price=Price(0, "job"))), 9)
    assert await asking.stands(ledger, asking.wanted(under=asking.terms(5))) == asking.Account(-4, 0, 0)
    assert await asking.moved(store, "req_2") == []


async def test_no_allowance_written_down_is_no_limit(store: Store, ledger: Ledger) -> None:
    request = asking.wanted(credits=10**9, under=asking.terms(None))
    await asking.speak(ledger, request, 9)
    assert await asking.stands(ledger, request) == asking.Account(None, 0, 0)
    assert await asking.moved(store) == [("spend", False, -9)]


async def test_a_request_settles_in_the_cycle_that_it_began_in(timed: WatchedStore) -> None:
    request = asking.wanted(under=asking.terms(20, streams=2))
    async with open_ledger(timed, Metrics()) as ledger:
        timed.seconds = 30 * _DAY_S - 1
        began = (await ledger.holds.account_state(request)).cycle
        async with asking.holding(ledger, request) as hold:
            assert (await asking.stands(ledger, request)).allowance == 10
            timed.seconds = 30 * _DAY_S
            # The new cycle's allowance is whole, and the stream still counts.
            assert await asking.stands(ledger, request) == asking.Account(20, 0, 1)
            assert (await ledger.holds.account_state(request)).cycle.start == began.end
            asking.heard(hold, 15)
            await hold.settle("finished")
        assert await asking.stands(ledger, request) == asking.Account(20, 0, 0)
        timed.seconds = 29 * _DAY_S
        assert await asking.stands(ledger, request) == asking.Account(5, 0, 0)


async def test_a_settlement_that_cannot_be_written_is_not_taken_for_one(store: Store) -> None:
    with capture_logs() as logs:
        async with open_ledger(store, Metrics()) as ledger:
            async with asking.holding(ledger, asking.wanted()) as hold:
                await store.close()
                with pytest.raises(StorageFailed):
                    await hold.settle("finished")
            assert repr(hold) == "<Hold req_1 open>"
            assert "0 live" in repr(ledger)
    # Leaving the block tries to put the failure on record, and so does the end of the ledger.
    told = [(line["event"], line.get("request"), line["log_level"]) for line in logs]
    assert told == [
        ("settlement.write.failed", "req_1", "error"),
        ("arrears.write.failed", None, "error"),
    ]


async def test_a_request_id_cannot_be_charged_again(store: Store, ledger: Ledger) -> None:
    await asking.speak(ledger, asking.wanted(), 1)
    with pytest.raises(StorageFailed, match="settled before"):
        await asking.speak(ledger, asking.wanted(), 2)
    assert await asking.moved(store) == [("spend", False, -1)]
    await asking.is_gone(store, "req_1")
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(99, 0, 0)


async def test_a_repr_shows_where_it_stands(ledger: Ledger) -> None:
    async with asking.holding(ledger, asking.wanted()) as hold:
        assert repr(hold) == "<Hold req_1 open>"
        assert "1 live" in repr(ledger)
        await hold.settle("finished")
        assert repr(hold) == "<Hold req_1 settled>"
    assert "0 live" in repr(ledger)


async def test_a_pool_is_held_until_its_last_request_has_settled(timed: WatchedStore) -> None:
    """Also a request that goes on into the next cycle: it settles in the one in which it began."""
    async with open_ledger(timed, Metrics()) as ledger:
        async with asking.holding(ledger, asking.wanted()) as held:
            pool, account = held.hold.held.cycle.start, held.hold_request.account
            timed.seconds = held.hold.held.cycle.end / MICRO - await timed.now() / MICRO + 1
            others = [(account, pool + 1), ("acc_bob", pool), (account, 0)]
            assert [await ledger.holds.held_allowance(*each) for each in others] == [0] * 3
            # On PostgreSQL a hold that is not renewed for so long is that of a dead worker.
            assert (await ledger.holds.held_allowance(account, pool) > 0) is not timed.is_shared
            asking.heard(held, 2)
            await held.settle("finished")
        assert await ledger.holds.held_allowance(account, pool) == 0
        async with asking.holding(ledger, asking.wanted("req_2")) as held:
            assert await ledger.holds.held_allowance(account, held.hold.held.cycle.start) > 0
