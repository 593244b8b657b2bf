"""The lease of an attempt that takes long: renewed until its end, and not after it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxy.storage.store import Row, Statement, Store
from proxy.work.wishes import Done, Result
from tests.proxy.work.chores import Chore, Chores, add, hang, row, sql


async def test_a_lease_is_renewed_as_long_as_its_attempt_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.work.wishes._RENEWED_AFTER", 1e-6)
    await add(store, Chore(id="one"))
    gate = asyncio.Event()

    async def end(held: Chore) -> Result:
        await until_renewed(store, held)
        # The database is away for a moment.
        await sql(store, "ALTER TABLE chores RENAME TO away")
        await asyncio.sleep(0.01)
        await sql(store, "ALTER TABLE away RENAME TO chores")
        await until_renewed(store, await row(store))
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
    monkeypatch.setattr("proxy.work.wishes._RENEWED_AFTER", 1e-6)
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


@pytest.mark.parametrize(
    "loss",
    [
        "UPDATE chores SET fence = fence + 1, lease = 7",
        "UPDATE chores SET state = 'done' WHERE state = 'open'",
        "DELETE FROM chores",
    ],
)
async def test_an_attempt_ends_when_its_row_is_not_ours_any_more(
    store: Store, loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.work.wishes.LOOK_S", 0.01)
    await add(store, Chore(id="one"))
    lost = list[bool]()

    async def lose(held: Chore) -> Result:
        try:
            await sql(store, loss)
            await asyncio.Event().wait()
        finally:
            lost.append(chores.has_lost(held))
        return None

    chores = Chores(store, lose)
    async with asyncio.timeout(30):
        await chores.step()
    assert (lost, chores.noted_results) == ([True], [None])
    rows = await store.read("SELECT fence, lease FROM chores")
    # The lease of the next holder stays.
    assert [(row["fence"], row["lease"]) for row in rows] in ([(2, 7)], [(1, 0)], [])
    assert not chores.has_lost(chores.held[0])


async def test_a_loss_is_noticed_at_once_in_the_worker_that_knows_of_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.work.wishes.LOOK_S", 3600.0)
    await add(store, Chore(id="one"))
    chores = Chores(store, hang)
    await chores.look()
    await chores.has_begun.wait()
    await sql(store, "UPDATE chores SET state = 'done'")
    async with asyncio.timeout(30):
        chores.look_at_leases()
        await chores.finish()
    assert (await row(store)).lease == 0


async def test_an_attempt_that_writes_its_end_itself_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.work.wishes.LOOK_S", 0.001)
    await add(store, Chore(id="one"))
    looks = asyncio.Semaphore(0)

    class Looking(Chores):
        async def watch(self, held: Chore) -> None:
            looks.release()

    async def end(held: Chore) -> Result:
        chores.stop_watching(held)
        await sql(store, "UPDATE chores SET state = 'done'")
        for _ in range(3):
            await looks.acquire()
        return Done({"error": "written"})

    chores = Looking(store, end)
    async with asyncio.timeout(30):
        await chores.step()
    assert (await row(store)).error == "written"


async def test_a_worker_that_closes_stops_what_has_lost_its_row(store: Store) -> None:
    await add(store, Chore(id="one"))
    is_ending, may_end = asyncio.Event(), asyncio.Event()

    async def end_slowly(held: Chore) -> Result:
        try:
            return await hang(held)
        finally:
            is_ending.set()
            await may_end.wait()

    chores = Chores(store, end_slowly)
    chores.closing_s = 0.0
    (chore,) = await chores.look()
    await chores.has_begun.wait()
    await sql(store, "UPDATE chores SET state = 'done'")
    chores.look_at_leases()
    await is_ending.wait()
    (task, _) = chores._under_way[chore.id]
    async with asyncio.timeout(30):
        await chores.close()
    assert task.cancelled()


async def until_renewed(store: Store, held: Chore) -> None:
    while True:
        if (await row(store)).lease > held.lease:
            return
        await asyncio.sleep(0.001)
