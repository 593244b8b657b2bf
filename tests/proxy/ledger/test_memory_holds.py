"""Holds in memory: an account that is idle is forgotten, one with something under way never is."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from policies.price import MICRO
from proxy.feature_list import open_store
from proxy.features.admin import movements
from proxy.features.admin.movements import Reason
from proxy.ledger import Ledger, memory_holds, open_ledger
from proxy.storage.store import BatchItem, Store
from proxy.telemetry.metrics import Metrics
from tests.proxy.ledger import asking
from tests.proxy.storage.watched import WatchedStore

_NAMES = ("acc_ada", "acc_ben", "acc_cyd", "acc_dan")


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WatchedStore]:
    monkeypatch.setattr(memory_holds, "_MOST_IDLE_ACCOUNTS", 2)
    async with open_store("sqlite", tmp_path) as opened:
        await asking.open_accounts(opened, dict.fromkeys(_NAMES, asking.ANCHOR))
        yield WatchedStore(opened, await opened.now())


@pytest.fixture
async def ledger(store: WatchedStore) -> AsyncIterator[Ledger]:
    async with open_ledger(store, Metrics()) as opened:
        yield opened


class SlowStore(WatchedStore):
    """A store whose writes wait for the test."""

    def __init__(self, store: Store, start: int) -> None:
        super().__init__(store, start)
        self.is_writing = asyncio.Event()
        self.may_write = asyncio.Event()

    def submit(self, item: BatchItem) -> None:
        self.is_writing.set()
        self._task = asyncio.create_task(self._submit_late(item))

    async def _submit_late(self, item: BatchItem) -> None:
        await self.may_write.wait()
        super().submit(item)


async def visit(ledger: Ledger, *accounts: str) -> None:
    for account in accounts:
        await asking.stands(ledger, asking.wanted(account=account))


async def test_an_account_with_a_request_under_way_is_not_forgotten(ledger: Ledger) -> None:
    async with asking.holding(ledger, asking.wanted(credits=60)) as hold:
        await visit(ledger, "acc_ben", "acc_cyd", "acc_dan")
        assert await asking.stands(ledger, asking.wanted()) == asking.Account(40, 0, 1)
        asking.heard(hold, 60)
        await hold.settle("finished")
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(40, 0, 0)


async def test_the_account_that_was_used_longest_ago_is_forgotten_first(
    ledger: Ledger, store: WatchedStore
) -> None:
    await visit(ledger, "acc_ada", "acc_ben", "acc_ada", "acc_cyd")
    read = store.reads
    await visit(ledger, "acc_ada", "acc_cyd")
    assert store.reads == read, "both are known"
    await visit(ledger, "acc_ben")
    assert store.reads == read + 1, "this one was forgotten, and is read again"


async def test_an_account_whose_request_is_settled_is_forgotten_like_any_other(
    ledger: Ledger, store: WatchedStore
) -> None:
    await asking.speak(ledger, asking.wanted(), 7)
    await visit(ledger, "acc_ben", "acc_cyd")
    read = store.reads
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(93, 0, 0)
    assert store.reads == read + 1


async def test_an_account_that_is_being_read_is_not_forgotten(ledger: Ledger, store: WatchedStore) -> None:
    store.may_answer.clear()
    taking = [
        asyncio.create_task(ledger.holds.take_hold(asking.wanted(f"req_{name}", account=name)))
        for name in _NAMES
    ]
    await store.was_asked.wait()
    store.may_answer.set()
    await asyncio.gather(*taking)
    assert store.reads == len(_NAMES)
    for name in _NAMES:
        assert await asking.stands(ledger, asking.wanted(account=name)) == asking.Account(90, 0, 1)
        ledger.holds.drop(f"req_{name}", name)


async def test_a_hold_of_the_cycle_before_takes_nothing_of_this_ones_allowance(
    ledger: Ledger, store: WatchedStore
) -> None:
    async with asking.holding(ledger, asking.wanted(credits=60)) as hold:
        store.seconds = 32 * 86_400
        assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, 0, 1)
        asking.heard(hold, 60)
        await hold.settle("finished")
    assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, 0, 0)


async def test_many_holds_at_once_add_up(ledger: Ledger) -> None:
    under = asking.terms(100)
    async with (
        asking.holding(ledger, asking.wanted("req_1", 10, under=under)) as one,
        asking.holding(ledger, asking.wanted("req_2", 20, under=under)) as two,
        asking.holding(ledger, asking.wanted("req_3", 30, under=under)) as three,
    ):
        assert await asking.stands(ledger, asking.wanted(under=under)) == asking.Account(40, 0, 3)
        for hold, seconds in ((one, 1), (two, 2), (three, 3)):
            asking.heard(hold, seconds)
            await hold.settle("finished")
    assert await asking.stands(ledger, asking.wanted(under=under)) == asking.Account(94, 0, 0)


async def test_a_write_is_waited_for_when_its_request_is_cancelled_and_the_ledger_closes(
    store: WatchedStore,
) -> None:
    slow = SlowStore(store, await store.now())
    async with open_ledger(slow, Metrics()) as ledger:
        granting = asyncio.create_task(
            movements.grant(ledger, "acc_ada", 7 * MICRO, None, Reason("control", "a gift"))
        )
        await slow.is_writing.wait()
        granting.cancel()
        await asyncio.wait([granting])
        asyncio.get_running_loop().call_later(0.05, slow.may_write.set)
    async with open_ledger(store, Metrics()) as another:
        assert await asking.stands(another, asking.wanted()) == asking.Account(100, 7, 0)


async def test_an_account_whose_settlement_is_being_written_is_not_forgotten(store: WatchedStore) -> None:
    slow = SlowStore(store, await store.now())
    async with open_ledger(slow, Metrics()) as ledger:
        async with asking.holding(ledger, asking.wanted()) as hold:
            asking.heard(hold, 7)
            settling = asyncio.create_task(hold.settle("finished"))
            await slow.is_writing.wait()
            ledger.holds.drop("req_1", "acc_ada")
            await visit(ledger, "acc_ben", "acc_cyd", "acc_dan", "acc_ada")
            slow.may_write.set()
            await settling
        assert await asking.stands(ledger, asking.wanted()) == asking.Account(93, 0, 0)


async def test_an_account_that_is_being_granted_credits_is_not_forgotten(store: WatchedStore) -> None:
    slow = SlowStore(store, await store.now())
    async with open_ledger(slow, Metrics()) as ledger:
        await visit(ledger, "acc_ada")
        granting = asyncio.create_task(
            movements.grant(ledger, "acc_ada", 7 * MICRO, None, Reason("control", "a gift"))
        )
        await slow.is_writing.wait()
        await visit(ledger, "acc_ben", "acc_cyd", "acc_dan", "acc_ada")
        slow.may_write.set()
        await granting
        assert await asking.stands(ledger, asking.wanted()) == asking.Account(100, 7, 0)
