"""Durable tasks of one kind. A worker takes the lease of a row, makes an attempt, and writes the result.

A feature has a table with a row for each task, and implements one attempt in `work`. An attempt may be killed
at any moment, so it first commits everything that the next attempt needs, perhaps in another worker.
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

from policies.tasks import SECOND_US, delay_s
from proxy.storage.rows import LAST_MOMENT, UnknownRow
from proxy.storage.store import ALWAYS, Condition, Params, Statement, StorageFailed, Store
from proxy.storage.task_tables import TaskTable, W
from proxy.telemetry.background import repeat, without_values
from proxy.telemetry.metrics import Metrics

LEASE_S = 20
_LONGEST_WAIT_S = 5.0
"""The time between two looks for open tasks, unless `look_now` comes first."""
_PAUSE_S = 0.1
_CLOSING_S = 5.0
LEASE_CHECK_S = 1.0
"""The time between two checks of a lease: an attempt without its lease is cancelled after it."""
_RENEWAL_PART = 1 / 3
"""The part of a lease after which it is renewed, if its attempt is still under way."""
_RENEWAL_RETRY_S = 1.0
"""The wait after a renewal that has failed."""
_RENEWAL_TRY_S = 5.0
"""The time limit of one renewal, so short that no lease ends if the database stalls for 10 s."""
_QUIET_AFTER_OUTAGE_S = 3.0
"""The time from the first answer of a database that was away until a worker takes tasks. Leases have ended
meanwhile, and the workers that still hold them renew them first."""
_NOT_GIVEN_BACK = Condition("lease > 0", {})
"""The condition of a renewal. A cancelled renewal may be written after the end of its attempt, and must not
take the lease again then."""
_log = structlog.get_logger()


class Done(msgspec.Struct, frozen=True):
    """The task is done. `values` are written to columns of its row, and the statements `also` in the same
    commit."""

    values: Params = {}
    also: tuple[Statement, ...] = ()


class Delayed(msgspec.Struct, frozen=True):
    """The task is delayed: after each failed try twice as long as before, and `after_s` at least. If not
    `is_try`, the attempt does not count, and the delay is `after_s`. With `keeps_lease`, no worker takes the
    task before the lease ends, since the attempt may still have an effect. See `Done` for the others."""

    error: str = ""
    after_s: float = 0.0
    is_try: bool = True
    keeps_lease: bool = False
    values: Params = {}
    also: tuple[Statement, ...] = ()


class TaskFailed(msgspec.Struct, frozen=True):
    """The task has failed for good: another try would fail in the same way."""

    error: str


Result = Done | Delayed | TaskFailed | None
"""The result of an attempt. None: the attempt has written its end itself."""
TRY_AGAIN = Delayed(is_try=False)
"""The result of an attempt that changes nothing: if the row is still open, it is attempted again at once."""


class TaskKind(ABC, Generic[W]):
    """The tasks of one kind in one worker. A feature has a subclass, which implements `work`.

    A row that methods get as `held` has our lease. A row that they get as `queued` may have none. An attempt
    is cancelled when its lease is lost, or its row is not open any more.
    """

    name: str
    table: TaskTable[W]
    most_at_once = 4
    may_outlive_worker = True
    """Whether an attempt may go on after its worker was killed. If none can, a server that starts on SQLite
    ends the leases of the killed one."""
    is_for_workers = False
    """Whether a `voxgate worker` works on this kind, too."""
    releases_lease_when_cancelled = False
    closing_s = _CLOSING_S
    """How long running attempts may go on when the worker ends."""

    def __init__(self, store: Store) -> None:
        self.ended = asyncio.Event()
        """Set when the next attempt ends, and then replaced by a new event."""
        self._store = store
        self._wake = asyncio.Event()
        self._under_way: dict[str, tuple[asyncio.Task[None], W]] = {}
        self._check_now = asyncio.Event()
        # Keys of rows whose attempts are cancelled when the lease is lost, and of rows whose lease was lost.
        self._watched: set[str] = set()
        self._lost: set[str] = set()
        # Keys of rows that only a newer version can read.
        self._unknown: set[str] = set()
        self._takes_more = True
        # The first answer of a shared database after its last failure, as a time of the event loop.
        self._answers_since = -math.inf
        # The start of the server. None once the leases of an earlier server were ended.
        self._server_started: int | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, {len(self._under_way)} under way>"

    @abstractmethod
    async def work(self, held: W) -> Result:
        """Make one attempt at a task whose lease is ours. If it raises, the try has failed, and the lease
        stays until its end."""

    def lease_s(self, queued: W) -> float:
        """Return the length of a lease. Long attempts renew it; after its end, another worker may take the
        row."""
        del queued
        return LEASE_S

    def concurrency_limits(self, queued: W) -> Mapping[Hashable, int]:
        """Return the limits that an attempt counts under, by name, each with its most attempts at once."""
        del queued
        return {"": self.most_at_once}

    def is_last_try(self, queued: W) -> bool:
        """Tell whether the task fails for good if this try fails."""
        del queued
        return False

    async def failure_columns(self, queued: W) -> Params:
        """Return columns for the row of a task that failed for good. Unless `due` is among them, it is never
        due again."""
        del queued
        return {}

    async def failure_statements(self, queued: W) -> tuple[Statement, ...]:
        """Return statements for the commit of a task that failed for good."""
        del queued
        return ()

    def commit_condition(self, held: W) -> Condition:
        """Return a condition for the commit of a result. If it is false, the task is tried again."""
        del held
        return ALWAYS

    def after_attempt(self, held: W, result: Result) -> None:
        """Called at the end of each attempt, with its result, or None if `Result` was not written."""

    async def watch_attempt(self, held: W) -> None:
        """Called about each second while an attempt is under way."""

    def has_lost(self, held: W) -> bool:
        """Tell whether an attempt is being cancelled because its lease was lost."""
        return self.table.key(held) in self._lost

    def stop_watching(self, held: W) -> None:
        """Let an attempt go on even if its lease is lost. It calls this before it writes its end itself."""
        self._watched.discard(self.table.key(held))

    def check_leases_now(self) -> None:
        """Check at once whether the leases of the attempts under way are still ours."""
        self._check_now.set()
        self._check_now = asyncio.Event()

    async def list_open(self, now: int) -> list[W]:
        """List open tasks. Their limits may be reached already."""
        return await self.table.list_open(self._store, now, 2 * self.most_at_once)

    def stop_taking(self) -> None:
        """Begin no more tasks from now on."""
        self._takes_more = False

    def look_now(self) -> None:
        """Let `run` look for open tasks now."""
        self._wake.set()

    async def run(self, metrics: Metrics, server_started: int) -> None:
        """Work on open tasks until cancelled. The server started at this moment, in microseconds."""
        self._server_started = server_started
        await repeat(self.name, self.turn, _PAUSE_S, metrics)

    async def turn(self) -> None:
        """Begin open tasks, and wait until there may be more."""
        if self._server_started is not None:
            await self._end_old_leases(self._server_started)
            self._server_started = None
        await self.look()
        await event_or_timeout(self._wake, _LONGEST_WAIT_S)

    async def look(self) -> list[W]:
        """Begin the open tasks that the limits allow, and return them. Raises the fault of an attempt that
        has ended with one."""
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
        if now < self._answers_since + _QUIET_AFTER_OUTAGE_S:
            return begun
        for queued in open_tasks:
            if self.may_start(queued):
                self._start(queued, self._take_and_attempt(queued))
                begun.append(queued)
        return begun

    def full_limits(self) -> set[Hashable]:
        """Return the names of the limits that are reached by the attempts under way."""
        most: dict[Hashable, int] = {}
        counts = Counter[Hashable]()
        for _, each in self._under_way.values():
            most |= self.concurrency_limits(each)
            counts.update(self.concurrency_limits(each).keys())
        return {name for name, count in counts.items() if count >= most[name]}

    def may_start(self, queued: W) -> bool:
        """Tell whether an attempt at this task may begin now."""
        is_free = self.full_limits().isdisjoint(self.concurrency_limits(queued))
        key = self.table.key(queued)
        return self._takes_more and is_free and key not in self._under_way and key not in self._unknown

    def start_held(self, held: W) -> asyncio.Task[None]:
        """Begin an attempt at a row that was committed with our lease."""
        return self._start(held, self._make_attempt(held))

    async def finish_interrupted(self) -> list[W]:
        """Finish the tasks of a killed server, and return them. On a shared database this does nothing,
        since other workers may have them."""
        finished: dict[str, W] = {}
        is_more = not self._store.is_shared
        if is_more:
            await self._end_old_leases(await self._store.now())
        while is_more:
            begun = {self.table.key(queued) for queued in await self.look()}
            while self._under_way:
                # An attempt that could not write its end keeps its lease; the others go on.
                with suppress(StorageFailed):
                    await self.finish()
            is_more = bool(begun - finished.keys())
            finished |= {key: queued for key in begun if (queued := await self.table.get(self._store, key))}
        return [*finished.values()]

    async def finish(self) -> None:
        """Wait until no attempt is under way."""
        while self._under_way:
            await asyncio.wait([task for task, _ in self._under_way.values()])
            self._forget_ended()

    async def close(self) -> None:
        """Wait `closing_s` for running attempts, then cancel them. Their leases end by themselves, unless
        `releases_lease_when_cancelled`."""
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
            # Only one is raised, since each costs a pause: a database that was away has ended every attempt.
            raise min(faults, key=lambda fault: isinstance(fault, StorageFailed))

    async def _end_old_leases(self, server_started: int) -> None:
        """End the leases that an earlier server took, if no attempt outlives it. On a shared database the
        holders may be alive, so their leases stay."""
        if not self.may_outlive_worker and not self._store.is_shared:
            await self.table.end_old_leases(self._store, server_started + round(LEASE_S * SECOND_US))

    async def _take_and_attempt(self, queued: W) -> None:
        """Take the lease and make an attempt, unless another worker has the lease."""
        held = await self.table.take(self._store, queued, self._lease_us(queued))
        if held is not None:
            await self._make_attempt(held)

    async def _make_attempt(self, held: W) -> None:
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
            if is_lost or self.releases_lease_when_cancelled:
                with suppress(StorageFailed):
                    await self.table.write_held(self._store, held, {"lease": 0})
            if not is_lost:
                raise
        except StorageFailed:
            raise
        except Exception as error:  # noqa: BLE001 - the seam at the top of a background task: recorded in its row
            _log.error("task.attempt.failed", task=self.name, row=key, exc_info=without_values(error))
            result = Delayed(f"The attempt failed: {type(error).__name__}.", keeps_lease=True)
        finally:
            watching.cancel()
            self._watched.discard(key)
            self._lost.discard(key)
        is_written = result is not None and await self._write(held, result)
        self.after_attempt(held, result if is_written else None)

    async def _watch(self, held: W, attempt: asyncio.Task[Any]) -> None:
        """Renew the lease before its end, and cancel the attempt if the lease is lost."""
        now, key = asyncio.get_running_loop().time, self.table.key(held)
        renewal = now() + _RENEWAL_PART * self.lease_s(held)
        while True:
            await event_or_timeout(self._check_now, min(LEASE_CHECK_S, max(0.0, renewal - now())))
            try:
                if now() >= renewal:
                    async with asyncio.timeout(_RENEWAL_TRY_S):
                        until = await self._store.now() + self._lease_us(held)
                        await self.table.write_held(
                            self._store, held, {"lease": until}, only_if=_NOT_GIVEN_BACK
                        )
                    renewal = now() + _RENEWAL_PART * self.lease_s(held)
                is_ours = await self.table.holds(self._store, held)
                await self.watch_attempt(held)
            except (StorageFailed, TimeoutError):
                renewal = max(renewal, now() + _RENEWAL_RETRY_S)
                continue
            if not is_ours and key in self._watched:
                self._lost.add(key)
                attempt.cancel()
                return

    async def _write(self, held: W, result: Done | Delayed | TaskFailed) -> bool:
        """Write the result of an attempt. Return False if the lease was lost before."""
        values: dict[str, Any] = {"due": 0, "tries": 0, "error": ""}
        also: tuple[Statement, ...] = ()
        match result:
            case Done():
                values |= result.values
                also = result.also
            case Delayed(is_try=is_try) if not (is_try and self.is_last_try(held)):
                tries = held.tries + is_try
                wait_s = delay_s(tries, result.after_s) if is_try else result.after_s
                due = await self._store.now() + round(wait_s * SECOND_US)
                values |= {"due": due, "tries": tries, "error": result.error, **result.values}
                also = result.also
            case _:  # TaskFailed, or a Delayed after the last try
                values |= {"due": LAST_MOMENT, "tries": held.tries, "error": result.error}
                values |= await self.failure_columns(held)
                also = await self.failure_statements(held)
        return await self.table.write_held(
            self._store,
            held,
            values,
            only_if=self.commit_condition(held),
            also=also,
            gives_back=not (isinstance(result, Delayed) and result.keeps_lease),
        )

    def _lease_us(self, queued: W) -> int:
        return round(self.lease_s(queued) * SECOND_US)


async def event_or_timeout(event: asyncio.Event, timeout_s: float) -> None:
    """Wait for an event, or until `timeout_s` have passed."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
