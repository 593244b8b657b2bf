"""Holds as rows: renewed while their requests live, and gone when nobody needs them, whatever was lost."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from policies.price import MICRO
from proxy.errors import RateLimited
from proxy.features.admin.verify import verify
from proxy.ledger import Ledger, Payer, open_ledger
from proxy.ledger.stored_holds import StoredHolds
from proxy.storage import holds
from proxy.storage.holds import Take
from proxy.storage.store import BatchItem, Content, Statement, StorageUnreachable, Store, WriteOutcome
from proxy.telemetry.metrics import Metrics
from tests.proxy.ledger.asking import heard, held, holding, is_at_rest, is_gone, made_up, speak, terms, wanted
from tests.proxy.ledger.lossy import Intercepted, LossyStore

pytestmark = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
"""With SQLite they are in memory, and end with their worker."""


@pytest.fixture
def lossy(store: Store) -> LossyStore:
    return LossyStore(store)


@pytest.fixture
async def ledger(lossy: LossyStore) -> AsyncIterator[Ledger]:
    async with open_ledger(lossy, Metrics()) as opened:
        yield opened


async def lose_a_hold(ledger: Ledger, lossy: LossyStore) -> None:
    with pytest.raises(StorageUnreachable):
        async with holding(ledger, wanted("req_lost")):
            pytest.fail("it has no hold")


async def test_a_hold_whose_answer_was_lost_does_not_wait_for_a_renewal(
    ledger: Ledger, lossy: LossyStore
) -> None:
    lossy.fates += ["answer lost", "held back"]
    await lose_a_hold(ledger, lossy)
    await lossy.was_asked.wait()
    assert await held(lossy) == ["req_lost"]
    lossy.may_write.set()
    lossy.may_answer.set()
    await is_gone(lossy, "req_lost")
    assert await is_at_rest(ledger)


async def test_a_hold_whose_asker_left_is_gone_as_soon_as_it_is_there(
    ledger: Ledger, lossy: LossyStore
) -> None:
    """However late that is, and whatever else was dropped or renewed in the meantime."""
    lossy.fates.append("held back")
    asking = asyncio.create_task(speak(ledger, wanted(), 1))
    await lossy.was_asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert isinstance(ledger.holds, StoredHolds)
    await ledger.holds._renew()
    assert await is_at_rest(ledger)
    lossy.may_write.set()
    await lossy.was_written.wait()
    assert await held(lossy) == ["req_1"]
    lossy.may_answer.set()
    await is_gone(lossy, "req_1")
    assert await is_at_rest(ledger)


class HangingUp(LossyStore):
    """A store that ends its caller in the turn of the loop in which the answer comes."""

    caller: asyncio.Task[None]

    def submit(self, item: BatchItem) -> None:
        def answer(content: Content, outcome: WriteOutcome) -> None:
            item.answer(content, outcome)
            self.caller.cancel()

        super().submit(Intercepted(item, answer) if isinstance(item.content, Take) else item)


async def test_a_hold_whose_answer_and_whose_end_of_its_caller_come_together_is_dropped(store: Store) -> None:
    hanging_up = HangingUp(store)
    async with open_ledger(hanging_up, Metrics()) as ledger:
        hanging_up.caller = asyncio.create_task(speak(ledger, wanted(), 1))
        with pytest.raises(asyncio.CancelledError):
            await hanging_up.caller
        await is_gone(store, "req_1")
        assert await is_at_rest(ledger)


async def test_a_lost_hold_that_comes_after_all_goes_with_the_next_renewal(
    ledger: Ledger, lossy: LossyStore
) -> None:
    """A frozen database still carries out what it was sent, and answers nobody."""
    assert isinstance(ledger.holds, StoredHolds)
    lossy.fates.append("sent late")
    await lose_a_hold(ledger, lossy)
    async with holding(ledger, wanted("req_kept")):
        await made_up(ledger)
        await lossy.arrive()
        assert await held(lossy) == ["req_kept", "req_lost"]
        await ledger.holds._renew()
        await made_up(ledger)
        assert await held(lossy) == ["req_kept"]


async def test_a_stream_that_was_paid_before_is_free_though_the_database_did_not_take_its_end(
    ledger: Ledger, lossy: LossyStore
) -> None:
    asked = wanted()
    payer = Payer(account=asked.account, key=asked.key, anchor=asked.anchor, terms=asked.terms)
    async with ledger.stream("req_replayed", payer):
        assert await held(lossy) == ["req_replayed"]
        lossy.fates.append("refused")
    await is_gone(lossy, "req_replayed")
    assert await is_at_rest(ledger)


async def is_renewed(store: Store) -> None:
    """Returns once the one hold has a new time."""
    (first,) = await store.read("SELECT expires FROM holds")
    deadline = asyncio.get_running_loop().time() + 10
    while await store.read("SELECT expires FROM holds") == [first]:
        assert asyncio.get_running_loop().time() < deadline, "nobody renewed it"
        await asyncio.sleep(0.01)


async def test_holds_under_way_are_renewed_by_themselves(
    lossy: LossyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.ledger.stored_holds.RENEW_S", 0.01)
    monkeypatch.setattr("proxy.ledger.stored_holds.HOLD_S", 1)
    async with open_ledger(lossy, Metrics()) as ledger, holding(ledger, wanted()):
        await is_renewed(lossy)
        # A database that was away for a moment does not end it for good.
        lossy.fates += ["never sent"] * 2
        while lossy.fates:
            await is_renewed(lossy)
        await is_renewed(lossy)


async def test_a_renewal_that_breaks_is_counted_and_the_next_one_comes(
    lossy: LossyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.ledger.stored_holds.RENEW_S", 0.01)
    metrics = Metrics()
    async with open_ledger(lossy, metrics) as ledger, holding(ledger, wanted()):
        await is_renewed(lossy)
        lossy.fates.append("breaks")
        while lossy.fates:
            await is_renewed(lossy)
        await is_renewed(lossy)
    assert 'voxgate_background_failures_total{task="holds renewal"} 1.0' in metrics.page_text()


async def test_a_renewal_does_not_wait_for_a_hold_that_is_being_ended(
    ledger: Ledger, lossy: LossyStore
) -> None:
    assert isinstance(ledger.holds, StoredHolds)
    async with holding(ledger, wanted("req_1")), holding(ledger, wanted("req_2")):
        (before,) = await lossy.read("SELECT expires FROM holds WHERE request = 'req_2'")
        ending = asyncio.create_task(
            lossy.write(
                Statement("SELECT 1 FROM holds WHERE request = 'req_1' FOR UPDATE"),
                Statement("SELECT pg_sleep(1)"),
            )
        )
        while not await lossy.read("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"):
            pass
        await ledger.holds._renew()
        assert not ending.done()
        (after,) = await lossy.read("SELECT expires FROM holds WHERE request = 'req_2'")
        assert after["expires"] > before["expires"]
        await ending


async def test_a_hold_that_expired_in_an_outage_comes_back_and_each_request_is_charged_once(
    ledger: Ledger, lossy: LossyStore
) -> None:
    assert isinstance(ledger.holds, StoredHolds)
    alone = terms(streams=1)
    async with holding(ledger, wanted("req_1", under=alone)) as first:
        await lossy.write(Statement("UPDATE holds SET expires = 1000"))
        async with holding(ledger, wanted("req_2", under=alone)) as second:
            lossy.fates += ["never sent"]
            assert not await ledger.holds._renew()
            assert await ledger.holds._renew()
            with pytest.raises(RateLimited):
                await ledger.hold(wanted("req_3", under=alone))
            for held_request in (first, second):
                heard(held_request, 3)
                await held_request.settle("finished")
    rows = await lossy.read("SELECT id, credits FROM usage ORDER BY id")
    assert [(row["id"], row["credits"]) for row in rows] == [("req_1", 3 * MICRO), ("req_2", 3 * MICRO)]
    assert (await verify(lossy)).is_clean


async def test_a_hold_that_nobody_renewed_for_long_is_swept_away(
    ledger: Ledger, lossy: LossyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = await lossy.now()
    monkeypatch.setattr("proxy.ledger.stored_holds.HOLD_S", -601)
    async with open_ledger(lossy, Metrics()) as dead:
        await dead.holds.take_hold(wanted("req_dead"))
    monkeypatch.undo()
    async with holding(ledger, wanted("req_live")):
        assert await held(lossy) == ["req_dead", "req_live"]
        await holds.renew(lossy, "nobody", [], expires=now, long_ago=now - 600_000_000)
        assert await held(lossy) == ["req_live"]
