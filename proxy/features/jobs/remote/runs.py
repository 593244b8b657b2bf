"""The runs of one engine at its runner: begun once, found again after a kill, charged once.

    none ─ row committed ─→ starting ─ its name ─→ running ─→ done, failed, canceled, lost
                               │ surely not begun ──────────→ refused

It is unknown whether a `starting` run without a name has begun. No other run begins until the provider tells
it, or until that run is certainly over. A `running` run is followed. The result of a `done` run can be
fetched again for a while, so a kill after it costs nothing.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Collection, Mapping
from contextlib import suppress
from functools import partial
from typing import NamedTuple, TypeVar

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from policies.cycles import start_of_day
from policies.tasks import SECOND_US
from proxy.errors import DayUsedUp, JobUsedUp, ShareUsedUp
from proxy.features.jobs.remote import records
from proxy.features.jobs.remote.links import Links
from proxy.features.jobs.remote.records import Ceilings, End, Run
from proxy.features.jobs.remote.work import WorkPiece
from proxy.storage.store import StorageFailed, Store, until_written
from speech_engine import EngineError, EngineFailed, EngineUnavailable
from speech_engine.host.engine_stream import OnDispatch, ignore_dispatch, run_to_end
from speech_engine.host.messages import Failed
from speech_engine.host.remote_pieces import RemoteFrame, frames_of
from speech_engine.runner import OPEN, CannotTell, NotBegun, RemotePiece, RemoteState, RemoteWork, Runner


class RunnerMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._runs = Counter(
            "voxgate_runs",
            "Runs on rented machines that ended: `done`, `failed`, `canceled`, `lost`, `refused`.",
            ["runner", "end"],
            registry=registry,
        )
        self._usd = Counter(
            "voxgate_run_usd", "What runs on rented machines were charged.", ["runner"], registry=registry
        )
        self._open = Gauge(
            "voxgate_runs_open", "Runs on rented machines under way.", ["runner"], registry=registry
        )
        self._known: set[str] = set()

    def count_ended_run(self, runner: str, end: str, micro_usd: int) -> None:
        self._runs.labels(runner, end).inc()
        self._usd.labels(runner).inc(micro_usd / 1e6)

    def set_open_runs(self, open_: Mapping[str, int]) -> None:
        """Set the number of open runs by runner. A missing runner has none."""
        self._known |= open_.keys()
        for runner in self._known:
            self._open.labels(runner).set(open_.get(runner, 0))


SUBMIT_S = 60.0
"""How long the write of a run's row and its `submit` may take together."""
_SUBMIT_MARGIN_S = 15.0
"""A `submit` ends so long before its time, after which another worker may resolve the run."""
_SHORTEST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 4.0
"""The wait between two looks at a run: each is twice as long as the one before."""
_CALL_TIMEOUT_S = 60.0
_RESERVED_RETRY_S = 5.0
"""The time until another try, if open runs have reserved the rest of a ceiling."""
_LONGEST_SHARE_RETRY_S = 3600.0
"""The longest time until another try, after an account has used up its share of the day."""
_WRITE_NAME_TRIES = 10
_MICRO_USD = 1_000_000
_DAY_US = 86_400 * SECOND_US
_MOST_STATE_CHANGES = 8
"""After so many changes of a run's state by others, a call gives up."""
_MOST_RESULT_BYTES = 64 * 1024 * 1024
_DEAREST_USD = 100_000.0
"""A higher amount is no plausible price of a run."""

T = TypeVar("T")
_log = structlog.get_logger()


class RunFrames(NamedTuple):
    """The id of a run, and the frames of its result."""

    run: str
    frames: list[RemoteFrame]


class _Result(msgspec.Struct, frozen=True):
    end: End
    pieces: tuple[RemotePiece, ...] = ()
    usd: float | None = None
    reason: str = ""


class Runs:
    """The runs of an engine at its runner, whose name is `name`. `running` counts the callers that wait for a
    result here."""

    def __init__(
        self,
        store: Store,
        engine: str,
        name: str,
        runner: Runner,
        ceilings: Ceilings,
        links: Links,
        metrics: RunnerMetrics,
    ) -> None:
        self.name = name
        self.runner = runner
        self.running = 0
        self._store = store
        self._engine = engine
        self._ceilings = ceilings
        self._links = links
        self._metrics = metrics

    async def frames(self, piece: WorkPiece, on_dispatch: OnDispatch = ignore_dispatch) -> list[RemoteFrame]:
        """Run a piece of work once, and return the frames of its result. Raises EngineError."""
        return (await self.run_piece(piece, on_dispatch)).frames

    async def run_piece(self, piece: WorkPiece, on_dispatch: OnDispatch = ignore_dispatch) -> RunFrames:
        """Run a piece of work once. Raises EngineError."""
        self.running += 1
        try:
            run = await self._find_or_begin(piece)
            on_dispatch(True)
            result = await self._follow(run, piece)
            return RunFrames(run.id, await self._finish(run, result))
        finally:
            self.running -= 1

    async def discard_run(self, run: str) -> None:
        """Give up the result of an ended run: it was used, or is useless. The next call begins another
        run."""
        await records.discard_result(self._store, run, "lost")

    async def has_begun(self, piece: str) -> bool:
        """Tell whether the last run of a piece is under way, or done."""
        run = await records.find_latest_run(self._store, piece)
        return run is not None and (run.is_open or run.state == "done")

    async def cancel(self, run: Run) -> None:
        """End a run in any state. Raises EngineUnavailable while its end is not certain."""
        if run.state == "starting":
            await self._resolve(run)
            found = await records.find_latest_run(self._store, run.piece)
            if found is None or found.id != run.id or not found.is_open:
                return
            run = found
        usd = await self._call(self.runner.cancel(run.name))
        await self.end(run, "canceled", self._charge_micro_usd(run, usd))

    async def expire(self, run: Run) -> None:
        """End a run that is certainly over and has no waiting step."""
        if run.state == "starting":
            await self._resolve(run)
        else:
            await self.end(run, "lost", self._charge_micro_usd(run, await self._give_up(run)))

    async def _give_up(self, run: Run) -> float | None:
        """Cancel an overdue run, and return its cost. None: the cost is unknown, or the runner does not
        answer."""
        try:
            return await self._call(self.runner.cancel(run.name))
        except EngineUnavailable:
            return None

    async def drop_samples(self, digests: Collection[str]) -> None:
        """End the runs with these recordings, and delete them at the provider. The next call continues with
        the rest. Raises EngineUnavailable."""
        since = await self._store.now() - round(self.runner.limits.stays_s * SECOND_US)
        for run in await records.list_runs_with_samples(self._store, self._engine, digests, since):
            if run.is_open:
                await self.cancel(run)
            elif run.name:
                await self._call(self.runner.cancel(run.name))
                await records.discard_result(self._store, run.id, "canceled")

    async def _find_or_begin(self, piece: WorkPiece) -> Run:
        """Return the running or finished run of a piece. Begin one only if there certainly is none. Raises
        EngineError."""
        for _ in range(_MOST_STATE_CHANGES):
            run = await records.find_latest_run(self._store, piece.name)
            if run is None or not (run.is_open or run.state == "done"):
                await self._begin(piece, 1 if run is None else run.number + 1)
            elif run.state == "done":
                if run.content == piece.digest and await self._store.now() < self._awaited_until(run):
                    return run
                await records.discard_result(self._store, run.id, "lost")
            elif run.state == "starting":
                await self._resolve(run)
            elif run.content == piece.digest:
                return run
            else:
                # The text, the voice or the lexicon has changed.
                await self.cancel(run)
        raise EngineUnavailable("The work elsewhere changes too often.", retry_after_s=SUBMIT_S)

    def _awaited_until(self, run: Run) -> int:
        """Return the end of the wait for a result: while the run may go on, or its result can be fetched
        again."""
        if run.ended is None:
            return run.over_at
        return run.ended + round(self.runner.limits.kept_s * SECOND_US)

    async def _begin(self, piece: WorkPiece, number: int) -> None:
        """Add the row of a run, and then submit it. If another worker has begun it, this does nothing."""
        limits, now, read_at = self.runner.limits, await self._store.now(), time.monotonic()
        asked_by = now + round(SUBMIT_S * SECOND_US)
        run = Run(
            id=f"{piece.name}.{number}",
            piece=piece.name,
            number=number,
            engine=self._engine,
            runner=self.name,
            account=piece.account,
            job=piece.of_job,
            step=piece.step,
            content=piece.digest,
            samples=piece.joined_digests,
            begun=now,
            asked_by=asked_by,
            over_at=asked_by + math.ceil(limits.over_s * SECOND_US),
            most_micro_usd=math.ceil(limits.most_usd * _MICRO_USD),
        )
        work = await piece.as_sent(run, limits, self._links)
        if await records.begin_run(self._store, run, self._ceilings):
            submit_left_s = SUBMIT_S - _SUBMIT_MARGIN_S - (time.monotonic() - read_at)
            failures: list[EngineError | StorageFailed] = []
            # A cancelled call would leave the state of the run unknown for a long time.
            await run_to_end(self._try_submit(run, work, submit_left_s, failures))
            if failures:
                raise failures[0]
            return
        ceiling = await records.find_reached_ceiling(self._store, run, self._ceilings)
        if ceiling == "job":
            most = self._ceilings.job_micro_usd / _MICRO_USD
            raise JobUsedUp(f"The job has used up what it may cost at {self._engine}: ${most:g}.")
        if ceiling in ("day", "account"):
            day_left_s = (start_of_day(now) + _DAY_US - now) / SECOND_US
            if ceiling == "account":
                why = f"{self._engine} has used up what it may cost for this account today."
                raise ShareUsedUp(why, retry_after_s=min(day_left_s, _LONGEST_SHARE_RETRY_S))
            raise DayUsedUp(f"{self._engine} has used up what it may cost today.", retry_after_s=day_left_s)
        if ceiling == "held":
            # The runs under way may cost less than is reserved.
            raise EngineUnavailable("What is left is held for other work.", retry_after_s=_RESERVED_RETRY_S)

    async def _try_submit(
        self, run: Run, work: RemoteWork, left_s: float, failures: list[EngineError | StorageFailed]
    ) -> None:
        """Submit a run. Append its failure to `failures`: `run_to_end` raises none."""
        try:
            await self._submit(run, work, left_s)
        except (EngineError, StorageFailed) as error:
            failures.append(error)

    async def _submit(self, run: Run, work: RemoteWork, left_s: float) -> None:
        if left_s <= 0:
            # The database was so slow that the next holder may already be resolving this run.
            await self.end(run, "refused", 0)
            raise EngineUnavailable("The database was too slow.", retry_after_s=5.0)
        try:
            async with asyncio.timeout(left_s):
                name = await self.runner.submit(work)
        except NotBegun as error:
            await self.end(run, "refused", 0)
            raise EngineUnavailable(
                error.message, detail=error.detail, retry_after_s=error.retry_after_s
            ) from None
        except Exception as error:  # noqa: BLE001 - the seam around a plugin: whatever it was, it may have begun
            _log.warning("runner.submit.failed", runner=self.name, run=run.id, error=_reason(error))
            raise EngineUnavailable(
                "It is not known whether the work has begun.", retry_after_s=5.0
            ) from None
        _log.info("runner.submit.complete", runner=self.name, run=run.id, name=name)
        # With retries: only this process knows the name, and without it the next holder must wait.
        await until_written(partial(records.write_run_name, self._store, run, name), _WRITE_NAME_TRIES, 1.0)

    async def _resolve(self, run: Run) -> None:
        """Find out whether a run without a name has begun, and name it or end it. Raises EngineUnavailable
        until this is certain."""
        now = await self._store.now()
        if now < run.asked_by:
            raise EngineUnavailable(
                "The work is being begun.", retry_after_s=_retry_after_s(run.asked_by - now)
            )
        try:
            name = await self._call(self.runner.find(run.id), CannotTell)
        except (CannotTell, EngineUnavailable) as error:
            if now < run.over_at:
                raise EngineUnavailable(
                    "It is not known whether the work has begun.",
                    detail=error.message,
                    retry_after_s=_retry_after_s(run.over_at - now),
                ) from None
            await self.end(run, "lost", run.most_micro_usd)
            return
        if name is None:
            await self.end(run, "refused", 0)
        else:
            await records.write_run_name(self._store, run, name)

    async def _follow(self, run: Run, piece: WorkPiece) -> _Result:
        """Wait for the end of a run, and return it. Raises EngineError."""
        work = await piece.as_sent(run, self.runner.limits, self._links)
        pieces, size = list[RemotePiece](), 0
        pause_s = _SHORTEST_PAUSE_S
        while True:
            is_overdue = await self._store.now() >= self._awaited_until(run)
            try:
                state = await self._call(self.runner.look(run.name, work, len(pieces)))
            except EngineUnavailable:
                state = RemoteState(status="running")
            for each in state.pieces:
                if each.number == len(pieces):
                    pieces.append(each)
                    size += len(each.data)
            if size > _MOST_RESULT_BYTES:
                usd = await self._call(self.runner.cancel(run.name))
                return _Result("failed", usd=usd, reason="the result is too long")
            if is_overdue and state.status in OPEN:
                # The run is overdue. The next one begins after it in any case.
                state = RemoteState(status="lost", usd=await self._give_up(run))
            if state.status not in OPEN:
                return self._result(state, tuple(pieces))
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _result(self, state: RemoteState, pieces: tuple[RemotePiece, ...]) -> _Result:
        is_whole = bool(pieces) and pieces[-1].is_last
        if state.status == "done" and is_whole:
            return _Result("done", pieces, state.usd)
        if state.status in ("failed", "canceled"):
            return _Result("failed", (), state.usd, state.reason)
        reason = state.reason or "its result is gone, or it did not end in time"
        return _Result("lost", (), state.usd, reason)

    async def _finish(self, run: Run, result: _Result) -> list[RemoteFrame]:
        """Write the end of a run with its charge, and return its frames. Raises EngineError."""
        frames: list[RemoteFrame] = []
        end, reason = result.end, result.reason
        if end == "done":
            with suppress(ValueError):
                # In a thread: there may be megabytes.
                frames = await asyncio.to_thread(list, frames_of(result.pieces))
            if not frames:
                end, reason = "failed", "its result cannot be read: another version made it"
            elif isinstance(frames[-1], Failed):
                end = "failed"
        if run.is_open:
            await self.end(run, end, self._charge_micro_usd(run, result.usd))
        elif end != "done":
            await records.discard_result(self._store, run.id, end)
        _log.info("runner.run.complete", runner=self.name, run=run.id, state=end, usd=result.usd)
        if not frames:
            raise EngineFailed("The work elsewhere failed.", detail=f"{end}: {reason}")
        return frames

    async def _call(self, call: Awaitable[T], *passed_on: type[EngineError]) -> T:
        """Call the runner. Every exception that is not of a class `passed_on` becomes EngineUnavailable."""
        try:
            async with asyncio.timeout(_CALL_TIMEOUT_S):
                return await call
        except passed_on:
            raise
        except Exception as error:  # noqa: BLE001 - the seam around a plugin: it may answer the next time
            _log.warning("runner.call.failed", runner=self.name, error=_reason(error))
            raise EngineUnavailable(f"{self.name} does not answer.", retry_after_s=5.0) from None

    async def end(self, run: Run, state: End, micro_usd: int) -> None:
        """End a run, and charge it once."""
        if await records.end_run(self._store, run, state, micro_usd):
            self._metrics.count_ended_run(run.runner, state, micro_usd)

    def _charge_micro_usd(self, run: Run, usd: float | None) -> int:
        """Return the charge of a run: the provider's price, or else the most that it may have cost."""
        is_price = usd is not None and 0.0 <= usd <= _DEAREST_USD
        return math.ceil(usd * _MICRO_USD) if usd is not None and is_price else run.most_micro_usd


def _reason(error: Exception) -> str:
    """Return the log text of a failure: a message of an unknown class might quote anything."""
    return error.reason if isinstance(error, EngineError) else type(error).__name__


def _retry_after_s(microseconds: int) -> float:
    return max(1.0, microseconds / SECOND_US)
