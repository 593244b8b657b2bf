"""hold → settle: one row for each request, whatever became of it, and never two."""

from __future__ import annotations

import asyncio
from typing import get_args

import pytest

from proxy.callers import Caller
from proxy.ledger import Ledger, Outcome
from proxy.storage import usage
from proxy.storage.store import StorageFailed, Store

ADA = Caller(account="acc_ada", key="key_ada", plan="free", role="speech")


@pytest.mark.parametrize("outcome", get_args(Outcome))
async def test_a_settlement_is_one_row_of_what_was_spent(store: Store, outcome: Outcome) -> None:
    before = await store.now()
    async with Ledger(store).hold("req_1", ADA) as hold:
        hold.spent.engine, hold.spent.samples, hold.spent.format = "tone", 480, "mp3"
        await hold.settle(outcome)
        (row,) = await usage.list_(store)
    assert (row.id, row.account, row.key, row.outcome) == ("req_1", "acc_ada", "key_ada", outcome)
    assert (row.engine, row.samples, row.format) == ("tone", 480, "mp3")
    assert before <= row.started <= await store.now()


async def test_only_the_first_settlement_counts(store: Store) -> None:
    async with Ledger(store).hold("req_1", ADA) as hold:
        await hold.settle("finished")
        hold.spent.samples = 999
        await hold.settle("failed")
    (row,) = await usage.list_(store)
    assert (row.outcome, row.samples) == ("finished", 0)


async def test_a_request_left_unsettled_has_failed(store: Store) -> None:
    async with Ledger(store).hold("req_1", ADA):
        pass
    with pytest.raises(ZeroDivisionError):
        async with Ledger(store).hold("req_2", ADA):
            raise ZeroDivisionError
    assert [row.outcome for row in await usage.list_(store)] == ["failed", "failed"]


async def test_a_cancelled_request_is_on_record_too(store: Store) -> None:
    begun = asyncio.Event()

    async def speak() -> None:
        async with Ledger(store).hold("req_1", ADA):
            begun.set()
            await asyncio.Event().wait()

    speaking = asyncio.create_task(speak())
    await begun.wait()
    speaking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await speaking
    assert [row.outcome for row in await usage.list_(store)] == ["failed"]


async def test_a_settlement_that_cannot_be_written_is_not_taken_for_one(store: Store) -> None:
    async def speak() -> None:
        async with Ledger(store).hold("req_1", ADA) as hold:
            await store.close()
            with pytest.raises(StorageFailed):
                await hold.settle("finished")
            assert repr(hold) == "<Hold req_1 open>"

    # Leaving the block tries to put the failure on record, and cannot either.
    with pytest.raises(StorageFailed):
        await speak()


async def test_a_repr_shows_where_it_stands(store: Store) -> None:
    async with Ledger(store).hold("req_1", ADA) as hold:
        assert repr(hold) == "<Hold req_1 open>"
        await hold.settle("finished")
        assert repr(hold) == "<Hold req_1 settled>"
