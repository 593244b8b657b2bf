"""Leases while the database stalls or is away, and after their worker was killed, by a simulated clock."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from policies.tasks import SECOND_US
from proxy.queue.tasks import LEASE_CHECK_S, Done, Result
from proxy.storage.rows import LAST_MOMENT
from proxy.storage.sqlite import SqliteStore
from proxy.storage.store import Params, Row, Statement, StorageFailed, StorageUnreachable
from proxy.telemetry.metrics import Metrics
from tests.proxy.queue.chores import TABLES, Chore, Chores, add, done, hang, row
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row

pytestmark = pytest.mark.slow

_ANSWER_S = 5.0
"""After so long, PostgreSQL's driver gives up."""
_T = TypeVar("_T")


class Stalling(SqliteStore):
    """A shared database that may stall: it carries out what it was sent when it goes on."""

    is_shared = True

    def __init__(self, store: SqliteStore) -> None:
        self.__dict__.update(vars(store))
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def now(self) -> int:
        return await self._late(super().now())

    async def read(self, sql: str, params: Params | None = None) -> list[Row]:
        return await self._late(super().read(sql, params))

    async def write(self, *statements: Statement) -> list[list[Row]]:
        return await self._late(super().write(*statements))

    async def stall(self, seconds: float) -> None:
        self.goes_on.clear()
        await asyncio.sleep(seconds)
        self.goes_on.set()

    async def _late(self, work: Awaitable[_T]) -> _T:
        async def carry_out() -> _T:
            await self.goes_on.wait()
            return await work

        answer = asyncio.create_task(carry_out())
        await asyncio.wait([answer], timeout=_ANSWER_S)
        if not answer.done():
            raise StorageUnreachable("it stalls")
        return answer.result()


@asynccontextmanager
async def stalling(folder: Path) -> AsyncIterator[Stalling]:
    opened = await SqliteStore.open(folder / "voxgate.db")
    try:
        await opened.write(*TABLES)
        await add(opened, Chore(id="one"))
        yield Stalling(opened)
    finally:
        await opened.close()


@asynccontextmanager
async def at_work(*workers: Chores) -> AsyncIterator[None]:
    """The first one has the chore before the others begin."""
    running: list[asyncio.Task[None]] = []
    try:
        for worker in workers:
            running.append(asyncio.create_task(worker.run(Metrics(), 0)))
            await workers[0].has_begun.wait()
        yield
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        for worker in workers:
            await worker.close()


@each_row(
    ["begins_s", "lasts_s"],
    [*((begins_s / 3, 10.0) for begins_s in range(60)), (1.0, 30.0), (6.6, 30.0), (6.8, 31.5), (4.0, 34.0)],
)
@simulated
async def test_its_worker_keeps_a_task_over_a_stall_and_an_outage(
    tmp_path: Path, begins_s: float, lasts_s: float
) -> None:
    async with stalling(tmp_path) as store:
        owner, other = Chores(store, hang), Chores(store, hang)
        async with at_work(owner, other):
            await asyncio.sleep(begins_s)
            before = await row(store)
            ending = asyncio.create_task(store.stall(lasts_s))
            await asyncio.sleep(lasts_s - 0.001)
            has_ended = before.lease < await SqliteStore.now(store)
            assert has_ended == (lasts_s > 10)
            await ending
            await asyncio.sleep(8)
            renewed = await row(store)
            assert (renewed.fence, renewed.lease > await store.now()) == (1, True)
        assert (len(owner.held), other.held) == (1, [])


@simulated
async def test_the_task_of_a_killed_worker_goes_on_within_half_a_minute(tmp_path: Path) -> None:
    async with stalling(tmp_path) as store:
        killed, other = Chores(store, hang), Chores(store, done)
        await killed.look()
        await killed.has_begun.wait()
        await asyncio.sleep(6.5)
        await killed.close()
        began = await store.now()
        async with at_work(other):
            assert await store.now() - began < 25 * SECOND_US
        assert (await row(store)).fence == 2


@simulated
async def test_a_task_whose_lease_was_lost_in_an_outage_is_not_written_by_its_worker(
    tmp_path: Path,
) -> None:
    async with stalling(tmp_path) as store:
        may_end = asyncio.Event()

        async def end(_held: Chore) -> Result:
            await may_end.wait()
            return Done({"state": "late"})

        owner = Chores(store, end)
        async with at_work(owner):
            ending = asyncio.create_task(store.stall(30.0))
            await asyncio.sleep(29.999)
            may_end.set()
            # Another process took it first, as one does that has just begun.
            await SqliteStore.write(store, Statement(f"UPDATE chores SET fence = 2, lease = {LAST_MOMENT}"))
            await ending
            await asyncio.sleep(8)
            assert ((await row(store)).state, owner.noted_results) == ("open", [None])


@simulated
async def test_an_attempt_hears_within_a_second_that_its_lease_is_lost(tmp_path: Path) -> None:
    async with stalling(tmp_path) as store:
        owner = Chores(store, hang)
        async with at_work(owner):
            await asyncio.sleep(2.5)
            ended = owner.ended
            await SqliteStore.write(store, Statement(f"UPDATE chores SET fence = 2, lease = {LAST_MOMENT}"))
            async with asyncio.timeout(LEASE_CHECK_S + 0.1):
                await ended.wait()


@simulated
async def test_an_attempt_that_cannot_read_its_rows_delays_no_other_task(tmp_path: Path) -> None:
    async with stalling(tmp_path) as store:

        async def fail(held: Chore) -> Result:
            if held.id == "one":
                raise StorageFailed("the recording is damaged")
            return Done({"state": "done"})

        worker = Chores(store, fail)
        async with at_work(worker):
            await asyncio.sleep(0.2)
            await add(store, Chore(id="two", account="acc_b"))
            worker.look_now()
            await asyncio.sleep(0.5)
            assert [held.id for held in worker.held] == ["one", "two"]


@simulated
async def test_attempts_that_an_outage_has_ended_are_one_failure_of_their_kind(tmp_path: Path) -> None:
    async with stalling(tmp_path) as store:
        begun = asyncio.Barrier(5)

        async def fail(held: Chore) -> Result:
            if held.id == "last":
                return Done({"state": "done"})
            await begun.wait()
            raise StorageUnreachable("it is away")

        for number in range(3):
            await add(store, Chore(id=f"more{number}", account=f"acc_{number}"))
        worker = Chores(store, fail)
        worker.most_at_once = 4
        async with at_work(worker), asyncio.timeout(60):
            await begun.wait()
            await asyncio.sleep(0.01)
            await add(store, Chore(id="last", account="acc_last"))
            worker.look_now()
            await asyncio.sleep(0.6)
            assert (await row(store, "last")).state == "done"
