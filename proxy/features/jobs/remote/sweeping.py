"""Ends runs on rented machines that no step needs any more, and lets runners end idle machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from policies.tasks import SECOND_US
from proxy.features.jobs.core.records import list_wanted_steps
from proxy.features.jobs.remote import records
from proxy.features.jobs.remote.records import Run
from proxy.features.jobs.remote.runs import RunnerMetrics, Runs
from proxy.storage.store import Store
from proxy.telemetry.background import repeat
from proxy.telemetry.metrics import Metrics
from speech_engine import EngineError

SWEEP_EVERY_S = 5.0
TIDY_EVERY_S = 300.0
TIDY_RETRY_S = 60.0
IDLE_MARGIN_S = 15.0
"""How long after its idle time a machine makes its runner's turn due: one turn may have missed it."""
STORED_DAYS = 32
"""How long the rows of ended runs stay, as they count for their job's ceiling. No job lasts as long as
this."""

_log = structlog.get_logger()


class Sweeping:
    """The sweep of one server. `runs` are by the name of the engine. Engines may share a runner."""

    def __init__(
        self,
        store: Store,
        runs: Mapping[str, Runs],
        metrics: Metrics,
        runner_metrics: RunnerMetrics,
    ) -> None:
        self._store = store
        self._runs = runs
        self._metrics = metrics
        self._runner_metrics = runner_metrics
        # When each runner was tidied, and when it is tidied again at the latest, in microseconds.
        self._tidied: dict[str, tuple[int, int]] = {}

    async def run(self) -> None:
        await repeat("runs elsewhere", self._turn, SWEEP_EVERY_S, self._metrics)

    async def _turn(self) -> None:
        await self.sweep()
        await self.count()
        await self.tidy()

    async def sweep(self) -> None:
        """End runs that no step needs, and overdue runs."""
        open_ = await records.list_open_runs(self._store)
        if not open_:
            return
        wanted = await list_wanted_steps(self._store, [run.step for run in open_ if run.step])
        now = await self._store.now()
        for run in open_:
            if run.step and run.step not in wanted:
                await self._end(run, now)
            elif now >= run.over_at + round(TIDY_EVERY_S * SECOND_US):
                # A waiting step would have ended it. The introduction of an engine has no step.
                await self._end(run, now)

    async def count(self) -> None:
        self._runner_metrics.set_open_runs(await records.count_open_runs(self._store))

    async def tidy(self) -> None:
        """Let each runner end machines that have no row or are idle, if its turn is due, and delete old
        rows."""
        by_name = {runs.name: runs for runs in self._runs.values()}
        now = await self._store.now()
        due = {name: runs for name, runs in by_name.items() if await self._is_due(name, runs, now)}
        if not due:
            return
        for name, runs in due.items():
            # Both are read again for each runner: the one before it may have been slow.
            open_, now = await records.list_open_runs(self._store), await self._store.now()
            await self._tidy(name, runs, open_, now)
        await records.delete_old_runs(self._store, now - STORED_DAYS * 86_400 * SECOND_US)

    async def _is_due(self, name: str, runs: Runs, now: int) -> bool:
        """Tell whether some minutes have passed, or the idle time of a machine since its last work."""
        tidied, latest = self._tidied.get(name, (now, now))
        idle_s = runs.runner.limits.idle_s
        if now >= latest or idle_s is None:
            return now >= latest
        idle_us = round(idle_s * SECOND_US)
        since = tidied - idle_us - round(IDLE_MARGIN_S * SECOND_US)
        ended = await records.list_ended_runs(self._store, name, since)
        return any(ended_at <= now - idle_us for ended_at in ended.values())

    async def _end(self, run: Run, now: int) -> None:
        runs = self._runs.get(run.engine)
        try:
            if runs is None or runs.name != run.runner:
                # Its runner is not configured any more.
                if now >= run.over_at and await records.end_run(self._store, run, "lost", run.most_micro_usd):
                    self._runner_metrics.count_ended_run(run.runner, "lost", run.most_micro_usd)
            elif now >= run.over_at:
                await runs.expire(run)
            elif run.state == "running" or now >= run.asked_by:
                await runs.cancel(run)
        except EngineError as error:
            _log.warning("runner.cancel.failed", runner=run.runner, run=run.id, reason=error.reason)

    async def _tidy(self, name: str, runs: Runs, open_: Sequence[Run], now: int) -> None:
        limits = runs.runner.limits
        since = now - round(max(limits.kept_s, limits.idle_s or 0.0) * SECOND_US)
        # A machine that has just done its work is not idle, and still has the result.
        ended = await records.list_ended_runs(self._store, name, since)
        idle_s_by_machine = {machine: (now - ended_at) / SECOND_US for machine, ended_at in ended.items()}
        idle_s_by_machine |= {run.name: 0.0 for run in open_ if run.runner == name and run.name}
        self._tidied[name] = now, now + round(TIDY_EVERY_S * SECOND_US)
        try:
            await runs.runner.tidy(idle_s_by_machine)
        except Exception as error:  # noqa: BLE001 - the seam around a plugin: the next turn tries again
            reason = error.reason if isinstance(error, EngineError) else type(error).__name__
            self._tidied[name] = now, now + round(TIDY_RETRY_S * SECOND_US)
            _log.warning("runner.tidy.failed", runner=name, reason=reason)
