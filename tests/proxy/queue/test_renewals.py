"""The lease of an attempt that takes long: renewed until its end, and not after it."""

import asyncio
from typing import Any

import pytest

from proxy.queue.tasks import Done, Result
from proxy.storage.store import Row, Statement, Store
from tests.proxy.queue.chores import Chore, Chores, add, row, sql
from tests.waiting import soon

pytestmark = pytest.mark.slow


async def test_a_lease_is_renewed_as_long_as_its_attempt_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.queue.tasks._RENEWAL_PART", 1e-6)
    await add(store, Chore(id="one"))
    gate = asyncio.Event()

    async def end(held: Chore) -> Result:
        await soon(lambda: is_renewed(store, held))
        # The database is away for a moment.
        await sql(store, "ALTER TABLE chores RENAME TO away")
        await asyncio.sleep(0.01)
        await sql(store, "ALTER TABLE away RENAME TO chores")
        now = await row(store)
        await soon(lambda: is_renewed(store, now))
        gate.set()
        return Done({"state": "done"})

    chores = Chores(store, end)
    async with asyncio.timeout(30):
        await chores.step()
    assert gate.is_set()
    assert ((await row(store)).state, (await row(store)).lease) == ("done", 0)


async def test_a_renewal_that_is_written_after_the_end_takes_no_lease(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.queue.tasks._RENEWAL_PART", 1e-6)
    write, has_ended, late = store.write, asyncio.Event(), list[asyncio.Task[Any]]()
    renewing = asyncio.Event()

    async def write_after_the_end(statements: tuple[Statement, ...]) -> list[list[Row]]:
        await has_ended.wait()
        return await write(*statements)

    async def write_late(*statements: Statement) -> list[list[Row]]:
        if "lease = :new_lease" not in statements[0].sql:
            return await write(*statements)
        # Another connection is quicker, and what was cancelled is still carried out.
        late.append(asyncio.create_task(write_after_the_end(statements)))
        renewing.set()
        return await asyncio.shield(late[-1])

    async def end(_held: Chore) -> Result:
        await renewing.wait()
        return Done({"state": "done"})

    monkeypatch.setattr(store, "write", write_late)
    await add(store, Chore(id="one"))
    await Chores(store, end).step()
    has_ended.set()
    await asyncio.gather(*late)
    assert await row(store) == Chore(id="one", state="done", fence=1)
    assert len(late) == 1


async def is_renewed(store: Store, held: Chore) -> bool:
    return (await row(store)).lease > held.lease
