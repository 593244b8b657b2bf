"""The tasks of one kind: any worker takes them, delays them, and finishes them under the fence of a lease.

A feature has a table with a row for each task, and implements one attempt in `work`. An attempt may be killed
at any moment, and another worker makes the next one. So it first commits everything that the next attempt
needs.
"""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Coroutine, Hashable, Mapping
from contextlib import suppress
from typing import Any, Generic

import msgspec
import structlog

from policies.tasks import SECOND, delay_s
from proxy.storage.rows import LAST_MOMENT, UnknownRow
from proxy.storage.store import ALWAYS, Condition, Params, Statement, StorageFailed, Store
from proxy.storage.task_tables import TaskTable, W
from proxy.telemetry.background import repeat, without_values
from proxy.telemetry.metrics import Metrics

LEASE_S = 20
_LOOK_EVERY_S = 5.0
_PAUSE_S = 0.1
_CLOSING_S = 5.0
LOOK_S = 1.0
"""The longest time until an attempt ends after its lease was lost, or its row ended or deleted."""
_RENEWED_AFTER = 1 / 3
"""The part of a lease after which it begins anew, if its attempt is still under way."""
_AGAIN_S = 1.0
"""The wait after a renewal that has failed."""
_TRY_S = 5.0
"""The time limit of a renewal. If the database stalls for 10 s, no lease ends."""
_OWNERS_FIRST_S = 3.0
"""The time from the first answer of a database that was away until a worker takes tasks. Leases have ended
meanwhile, and their holders, which still work, renew them first."""
_NOT_GIVEN_BACK = Condition("lease > 0", {})
"""The condition of a renewal. A cancelled one may be written after the end of its attempt: then it must not
take the lease again."""


_log = structlog.get_logger()


class Done(msgspec.Struct, frozen=True):
    """The task is done. `values` are for columns of its row, and `also` is in the same commit."""

    values: Params = {}
    also: tuple[Statement, ...] = ()


class Again(msgspec.Struct, frozen=True):
    """The task is delayed. After each failed try it waits twice as long as before, and `after_s` at least. If
    the attempt was no try, it waits for `after_s`. With `keeps_lease`, no worker takes it before the lease
    ends, since the attempt may still have an effect. `also` is in the commit of the delay."""

    error: str = ""
    after_s: float = 0.0
    is_try: bool = True
    keeps_lease: bool = False
    values: Params = {}
    also: tuple[Statement, ...] = ()


class Dead(msgspec.Struct, frozen=True):
    """The task has failed for good: another try would fail in the same way."""

    error: str


Result = Done | Again | Dead | None
"""None: the attempt has written its end itself."""


class TaskKind(ABC, Generic[W]):
    """The tasks of one kind in one worker. `look` finds open tasks once, and begins them. When the worker
    ends, running attempts have `closing_s` to end.

    `ended` is set when the next attempt ends, and is then replaced by a new event. If no attempt `outlives`
    its worker, the leases of a killed server end at the next start. A `voxgate worker` works on kinds with
    `is_for_workers`. With `hands_over`, a cancelled attempt gives up its lease at once.

    An attempt is cancelled when its lease is lost, or its row is not open any more.
    """

    name: str
    table: TaskTable[W]
    at_once = 4
    outlives = True
    is_for_workers = False
    hands_over = False
    closing_s = _CLOSING_S

    def __init__(self, store: Store) -> None:
        self.ended = asyncio.Event()
        self._store = store
        self._wake = asyncio.Event()
        self._under_way: dict[str, tuple[asyncio.Task[None], W]] = {}
        self._look_now = asyncio.Event()
        # The rows whose leases are watched, and the rows whose leases were lost.
        self._watched: set[str] = set()
        self._lost: set[str] = set()
        # Tasks of a kind that only a newer version knows.
        self._unknown: set[str] = set()
        self._takes_more = True
        # The first answer of a shared database after its last failure, as a time of the event loop.
        self._answers_since = -math.inf
        # The start of the server, until the leases of an earlier server were ended.
        self._began: int | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, {len(self._under_way)} under way>"

    @abstractmethod
    async def work(self, held: W) -> Result:
        """Make one attempt, with the lease of a row. If it raises, that try failed, and the lease stays."""

    def lease_s(self, queued: W) -> float:
        """Return the length of a lease, after which another worker may take the row. It is renewed during
        long attempts."""
        del queued
        return LEASE_S

    def takes(self, queued: W) -> Mapping[Hashable, int]:
        """Return the places that an attempt takes, each with the number of attempts allowed there."""
        del queued
        return {"": self.at_once}

    def gives_up(self, queued: W) -> bool:
        """Tell whether another failed try is the last one."""
        del queued
        return False

    async def poisoned(self, queued: W) -> Params:
        """Return columns for the row of a task that failed for good. Without a `due`, it is never due
        again."""
        del queued
        return {}

    async def poisoned_also(self, queued: W) -> tuple[Statement, ...]:
        """Return the statements in the same commit. See `Done`."""
        del queued
        return ()

    def only_if(self, held: W) -> Condition:
        """Return a condition for the commit of a result. If it is false, the row is tried again."""
        del held
        return ALWAYS

    def noted(self, held: W, result: Result) -> None:
        """Called at the end of each attempt, with its result if that was written."""

    async def watch(self, held: W) -> None:
        """Called each second while an attempt is under way."""

    def has_lost(self, held: W) -> bool:
        """Tell whether an attempt is being cancelled because its row is not ours any more."""
        return self.table.key(held) in self._lost

    def stop_watching(self, held: W) -> None:
        """Stop cancelling an attempt, which calls this before it writes its end itself."""
        self._watched.discard(self.table.key(held))

    def look_at_leases(self) -> None:
        """Look at once whether the rows of the attempts under way are still ours."""
        self._look_now.set()
        self._look_now = asyncio.Event()

    async def list_open(self, now: int) -> list[W]:
        """List open tasks, some of which may find their places full."""
        return await self.table.list_open(self._store, now, 2 * self.at_once)

    def take_no_more(self) -> None:
        self._takes_more = False

    def look_soon(self) -> None:
        """Look for open tasks at once."""
        self._wake.set()

    async def run(self, metrics: Metrics, began: int) -> None:
        """Work on open tasks until cancelled. The server `began` at this moment."""
        self._began = began
        await repeat(self.name, self.turn, _PAUSE_S, metrics)

    async def turn(self) -> None:
        """Begin open tasks, and wait until there may be more."""
        if self._began is not None:
            await self._let_go(self._began)
            self._began = None
        await self.look()
        await event_or_timeout(self._wake, _LOOK_EVERY_S)

    async def look(self) -> list[W]:
        """Begin the open tasks that have a place, and return them. Raises faults of attempts that have
        ended."""
        self._forget_ended()
        self._wake.clear()
        begun: list[W] = []
        try:
            open_tasks = await self.list_open(await self._store.now())
        except StorageFailed:
            if self._store.is_shared:
                self._answers_since = math.inf
            raise
        now = asyncio.get_running_loop().time()
        self._answers_since = min(self._answers_since, now)
        if now < self._answers_since + _OWNERS_FIRST_S:
            return begun
        for queued in open_tasks:
            if self.has_place(queued):
                self._start(queued, self._take(queued))
                begun.append(queued)
        return begun

    def full_limits(self) -> set[Hashable]:
        """Return the places that have as many attempts as they allow."""
        most: dict[Hashable, int] = {}
        counts = Counter[Hashable]()
        for _, each in self._under_way.values():
            most |= self.takes(each)
            counts.update(self.takes(each).keys())
        return {place for place, number in counts.items() if number >= most[place]}

    def has_place(self, queued: W) -> bool:
        """Tell whether a task may be worked on now."""
        is_free = self.full_limits().isdisjoint(self.takes(queued))
        key = self.table.key(queued)
        return self._takes_more and is_free and key not in self._under_way and key not in self._unknown

    def begin_held(self, held: W) -> asyncio.Task[None]:
        """Begin a row that was committed with our lease."""
        return self._start(held, self._hold(held))

    async def finish_interrupted(self) -> list[W]:
        """Finish the tasks of a killed server, and return them. On a shared database this does nothing,
        since other workers may have them."""
        left: dict[str, W] = {}
        is_more = not self._store.is_shared
        if is_more:
            await self._let_go(await self._store.now())
        while is_more:
            begun = {self.table.key(queued) for queued in await self.look()}
            while self._under_way:
                # An attempt that could not write its end keeps its lease; the others go on.
                with suppress(StorageFailed):
                    await self.finish()
            is_more = bool(begun - left.keys())
            left |= {key: queued for key in begun if (queued := await self.table.get(self._store, key))}
        return [*left.values()]

    async def finish(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            await asyncio.wait([task for task, _ in self._under_way.values()])
            self._forget_ended()

    async def close(self) -> None:
        """Wait a moment for running attempts, then cancel them. A lease whose attempt may outlive us ends by
        itself."""
        tasks = [task for task, _ in self._under_way.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=self.closing_s)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _start(self, queued: W, attempt: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        key = self.table.key(queued)
        task = asyncio.create_task(attempt, name=f"{self.name}: {key}")
        self._under_way[key] = task, queued
        task.add_done_callback(self._note_end)
        return task

    def _note_end(self, _task: asyncio.Task[None]) -> None:
        self._wake.set()
        self.ended.set()
        self.ended = asyncio.Event()

    def _forget_ended(self) -> None:
        ended = [key for key, (task, _) in self._under_way.items() if task.done()]
        faults = [fault for key in ended if (fault := self._under_way.pop(key)[0].exception()) is not None]
        if faults:
            # One for all: each costs a pause, and a database that was away has ended every attempt.
            raise min(faults, key=lambda fault: isinstance(fault, StorageFailed))

    async def _let_go(self, began: int) -> None:
        """End the leases of a server that ended before this moment. Living workers keep their leases."""
        if not self.outlives and not self._store.is_shared:
            await self.table.let_go(self._store, began + round(LEASE_S * SECOND))

    async def _take(self, queued: W) -> None:
        """Make an attempt, unless another worker has the lease."""
        held = await self.table.take(self._store, queued, self._lease_us(queued))
        if held is not None:
            await self._hold(held)

    async def _hold(self, held: W) -> None:
        """Make one attempt under our lease, and write its result."""
        key, attempt = self.table.key(held), asyncio.current_task()
        assert attempt is not None, "it is called by a task"
        self._watched.add(key)
        watching = asyncio.create_task(self._watch(held, attempt))
        result: Result = None
        try:
            result = await self.work(held)
        except UnknownRow:
            _log.warning("task.row.unknown", task=self.name, row=key)
            self._unknown.add(key)
            await self.table.write_held(self._store, held, {"lease": 0})
        except asyncio.CancelledError:
            # If the worker ends as well, a second cancellation is left, and is raised.
            is_lost = key in self._lost and not attempt.uncancel()
            if is_lost or self.hands_over:
                with suppress(StorageFailed):
                    await self.table.write_held(self._store, held, {"lease": 0})
            if not is_lost:
                raise
        except StorageFailed:
            raise
        except Exception as error:  # noqa: BLE001 - the seam at the top of a background task: recorded in its row
            _log.error("task.attempt.failed", task=self.name, row=key, exc_info=without_values(error))
            result = Again(f"The attempt failed: {type(error).__name__}.", keeps_lease=True)
        finally:
            watching.cancel()
            self._watched.discard(key)
            self._lost.discard(key)
        is_written = result is not None and await self._write(held, result)
        self.noted(held, result if is_written else None)

    async def _watch(self, held: W, attempt: asyncio.Task[Any]) -> None:
        """Renew a lease in time, and cancel its attempt if the lease is lost."""
        now, key = asyncio.get_running_loop().time, self.table.key(held)
        renewal = now() + _RENEWED_AFTER * self.lease_s(held)
        while True:
            await event_or_timeout(self._look_now, min(LOOK_S, max(0.0, renewal - now())))
            try:
                if now() >= renewal:
                    async with asyncio.timeout(_TRY_S):
                        until = await self._store.now() + self._lease_us(held)
                        await self.table.write_held(
                            self._store, held, {"lease": until}, only_if=_NOT_GIVEN_BACK
                        )
                    renewal = now() + _RENEWED_AFTER * self.lease_s(held)
                is_ours = await self.table.holds(self._store, held)
                await self.watch(held)
            except (StorageFailed, TimeoutError):
                renewal = max(renewal, now() + _AGAIN_S)
                continue
            if not is_ours and key in self._watched:
                self._lost.add(key)
                attempt.cancel()
                return

    async def _write(self, held: W, result: Done | Again | Dead) -> bool:
        """Write the result of an attempt, and return whether the row was still ours."""
        values: dict[str, Any] = {"due": 0, "tries": 0, "error": ""}
        also: tuple[Statement, ...] = ()
        match result:
            case Done():
                values |= result.values
                also = result.also
            case Again(is_try=is_try) if not (is_try and self.gives_up(held)):
                tries = held.tries + is_try
                wait_s = delay_s(tries, result.after_s) if is_try else result.after_s
                due = await self._store.now() + round(wait_s * SECOND)
                values |= {"due": due, "tries": tries, "error": result.error, **result.values}
                also = result.also
            case _:
                values |= {"due": LAST_MOMENT, "tries": held.tries, "error": result.error}
                values |= await self.poisoned(held)
                also = await self.poisoned_also(held)
        return await self.table.write_held(
            self._store,
            held,
            values,
            only_if=self.only_if(held),
            also=also,
            gives_back=not (isinstance(result, Again) and result.keeps_lease),
        )

    def _lease_us(self, queued: W) -> int:
        return round(self.lease_s(queued) * SECOND)


async def event_or_timeout(event: asyncio.Event, timeout_s: float) -> None:
    """Wait for an event, for so long at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
