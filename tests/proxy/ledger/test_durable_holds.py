"""Holds that outlive their worker: a clone's credits are kept back over a restart, and are no stream."""

import asyncio

import pytest
from msgspec.structs import replace

from policies.limits import Caps
from policies.price import MICRO
from proxy.features.clones import counts
from proxy.ledger import HoldRequest, Ledger, open_ledger
from proxy.ledger.durable_ends import FixedPrice, Purchase
from proxy.ledger.holds import AccountState
from proxy.ledger.stored_holds import StoredHolds
from proxy.storage import durable_holds
from proxy.storage.durable_holds import JOB_KEY, DurableHold
from proxy.storage.store import BatchItem, Statement, Store
from proxy.telemetry.metrics import Metrics
from tests.proxy.ledger.asking import ANCHOR, terms
from tests.waiting import LIMIT_S

BINDING, ACCOUNT = "bind_1", "acc_ada"
JOB = HoldRequest(
    request_id=BINDING,
    account=ACCOUNT,
    key=JOB_KEY,
    anchor=ANCHOR,
    terms=replace(terms(100, streams=1), streams=None, key=Caps()),
    amount=30 * MICRO,
)
SPEECH = replace(JOB, request_id="req_1", key="key_1", terms=terms(100, streams=1), amount=0)
_WANTED = """
INSERT INTO bindings (id, voice, account, revision, engine, credential, fence, state)
VALUES ('bind_1', 'voice_1', 'acc_ada', 1, 'minimax', 'default', 1, 'wanted')
"""


async def reserve(ledger: Ledger, most: int | None = None) -> bool:
    held = (await ledger.hold(JOB)).held
    hold = DurableHold(
        request=BINDING,
        account=ACCOUNT,
        pool=held.cycle.start,
        allowance=held.split.allowance,
        granted=held.split.granted,
    )
    is_stored = await counts.store_hold(ledger.store, hold, 1, most)
    if is_stored:
        ledger.holds.mark_durable(BINDING)
    else:
        await ledger.holds.release(BINDING, ACCOUNT)
    return is_stored


async def position(ledger: Ledger) -> tuple[int | None, int]:
    found: AccountState = await ledger.holds.account_state(SPEECH)
    left = found.credits.allowance
    return (None if left is None else left // MICRO, found.live.account)


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
async def test_a_renewal_between_its_commit_and_the_answer_gives_it_no_end(store: Store) -> None:
    await store.write(Statement(_WANTED))
    async with open_ledger(store, Metrics()) as ledger:
        assert isinstance(ledger.holds, StoredHolds)
        held = (await ledger.hold(JOB)).held
        hold = DurableHold(
            request=BINDING,
            account=ACCOUNT,
            pool=held.cycle.start,
            allowance=held.split.allowance,
            granted=held.split.granted,
        )
        assert await counts.store_hold(store, hold, 1, None)
        await ledger.holds._renew()
        ledger.holds.mark_durable(BINDING)
        assert await durable_holds.get(store, BINDING) == hold
        await counts.release_hold(store, BINDING)


@pytest.mark.usefixtures("leaves_holds")
async def test_it_is_held_after_a_restart_and_is_no_stream(store: Store) -> None:
    await store.write(Statement(_WANTED))
    async with open_ledger(store, Metrics()) as ledger:
        assert await reserve(ledger)
        assert await position(ledger) == (70, 0)
    async with open_ledger(store, Metrics()) as ledger:
        assert await position(ledger) == (70, 0)
        hold = await ledger.hold(SPEECH)
        assert await position(ledger) == (70, 1)
        ledger.holds.drop(hold.hold_request.request_id, ACCOUNT)
        await counts.release_hold(store, BINDING)
        ledger.holds.drop(BINDING, ACCOUNT)
        await ledger.holds.pending.all_written.wait()
        assert await position(ledger) == (100, 0)


async def test_the_last_clone_of_a_cycle_is_counted_once_and_comes_back_with_its_release(
    store: Store,
) -> None:
    await store.write(Statement(_WANTED))
    async with open_ledger(store, Metrics()) as ledger:
        assert not await reserve(ledger, most=0)
        assert await reserve(ledger, most=1)
        (row,) = await store.read("SELECT used FROM clone_counts")
        assert row["used"] == 1
        for _ in range(2):
            await counts.release_hold(store, BINDING)
            (row,) = await store.read("SELECT used FROM clone_counts")
            assert row["used"] == 0
        await ledger.holds.release(BINDING, ACCOUNT)
        await store.write(Statement("UPDATE clone_counts SET used = 1"))
        assert not await reserve(ledger, most=1)
        await store.write(Statement("UPDATE bindings SET fence = 2"))
        assert not await reserve(ledger), "somebody else has the lease"
        await ledger.holds.pending.all_written.wait()
        assert await position(ledger) == (100, 0)


async def test_a_bill_that_its_writer_leaves_while_another_writes_it_is_not_owed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two servers charge the same training, and one of them is stopped in the middle of its write."""
    await store.write(Statement(_WANTED))
    made = Purchase(payer="key_1", engine="tone", model="standard", voice="voice_1")
    async with open_ledger(store, Metrics()) as ledger:
        assert await reserve(ledger)
        hold = await durable_holds.get(store, BINDING)
        assert hold is not None
        submit, bills = store.submit, list[BatchItem]()

        def submit_both(bill: BatchItem) -> None:
            bills.append(bill)
            if len(bills) == 2:
                monkeypatch.setattr(store, "submit", submit)
                for each in bills:
                    submit(each)
                charges[1].cancel()

        monkeypatch.setattr(store, "submit", submit_both)
        price = FixedPrice(ledger, "training")
        charges = [asyncio.create_task(price.charge(hold, made)) for _ in range(2)]
        await asyncio.wait(charges)
        assert [charge.cancelled() for charge in charges] == [False, True]
        async with asyncio.timeout(LIMIT_S):
            await ledger.holds.pending.all_written.wait()
        assert [row["credits"] for row in await store.read("SELECT credits FROM usage")] == [JOB.amount]
        await price.forget(BINDING, ACCOUNT)
        await ledger.holds.pending.all_written.wait()
        assert await position(ledger) == (70, 0)


async def test_an_account_that_left_before_the_end_pays_its_part_alone(store: Store) -> None:
    await store.write(Statement(_WANTED))
    part = 10 * MICRO
    made = Purchase(payer="key_1", engine="tone", model="standard", voice="voice_1", part_micro=part)
    async with open_ledger(store, Metrics()) as ledger:
        assert await reserve(ledger)
        hold = await durable_holds.get(store, BINDING)
        assert hold is not None
        price = FixedPrice(ledger, "training")
        assert await price.charge(hold, made)
        (row,) = await store.read("SELECT outcome, credits, price_micro FROM usage")
        assert row == {"outcome": "left", "credits": part, "price_micro": JOB.amount}
        await counts.release_hold(store, BINDING)
        await price.forget(BINDING, ACCOUNT)
        await ledger.holds.pending.all_written.wait()
        assert await position(ledger) == (90, 0)
