"""An attempt whose row is not its own any more is cancelled, and writes nothing."""

import asyncio

import pytest

from proxy.queue.tasks import Result
from proxy.storage.rows import LAST_MOMENT
from proxy.storage.store import Store
from tests.proxy.queue.chores import CHORES, Chore, Chores, add, hang, row, sql
from tests.tables import each_row

_TAKEN = f"UPDATE chores SET fence = 2, lease = {LAST_MOMENT}"
_ENDED = "UPDATE chores SET state = 'ended'"


@each_row(
    ["change", "left"],
    [
        (_TAKEN, [Chore(id="one", fence=2, lease=LAST_MOMENT)]),
        (_ENDED, [Chore(id="one", fence=1, state="ended")]),
        ("DELETE FROM chores", []),
    ],
)
async def test_it_is_cancelled_and_its_lease_given_back(store: Store, change: str, left: list[Chore]) -> None:
    await sql(store, "DELETE FROM chores")
    await add(store, Chore(id="one"))
    has_lost = []

    async def end(held: Chore) -> Result:
        try:
            return await hang(held)
        finally:
            has_lost.append(chores.has_lost(held))

    chores = Chores(store, end)
    await chores.look()
    await chores.has_begun.wait()
    await sql(store, change)
    chores.check_leases_now()
    async with asyncio.timeout(30):
        await chores.finish()
    assert (has_lost, chores.noted_results) == ([True], [None])
    assert [CHORES.read(each) for each in await store.read("SELECT * FROM chores")] == left


async def test_it_may_write_its_end_itself(store: Store) -> None:
    class Watched(Chores):
        """Tells when it has looked whether a row is still ours."""

        has_looked = asyncio.Event()

        async def watch_attempt(self, held: Chore) -> None:
            if not await self.table.holds(store, held):
                self.has_looked.set()

    await add(store, Chore(id="one"))

    async def end(held: Chore) -> Result:
        chores.stop_watching(held)
        await sql(store, _ENDED)
        chores.check_leases_now()
        await chores.has_looked.wait()
        await sql(store, "INSERT INTO effects VALUES ('goes on')")
        return None

    chores = Watched(store, end)
    await chores.look()
    async with asyncio.timeout(30):
        await chores.finish()
    assert len(await store.read("SELECT 1 FROM effects")) == 1


async def test_a_worker_that_ends_meanwhile_cancels_it_too(store: Store) -> None:
    await add(store, Chore(id="one"))
    is_lost, may_end = asyncio.Event(), asyncio.Event()

    async def end(held: Chore) -> Result:
        try:
            return await hang(held)
        except asyncio.CancelledError:
            is_lost.set()
            await may_end.wait()
            raise

    chores = Chores(store, end)
    held = await CHORES.take(store, await row(store), 10**9)
    assert held is not None
    attempt = chores.start_held(held)
    await chores.has_begun.wait()
    await sql(store, _TAKEN)
    chores.check_leases_now()
    async with asyncio.timeout(30):
        await is_lost.wait()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
    assert chores.noted_results == []
