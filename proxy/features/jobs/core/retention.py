"""Deletes old jobs and sound of erased voices, and finishes jobs whose writer was killed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from policies.plans import Plan
from proxy.features.jobs.core import ends
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.section import JobSection
from proxy.storage.stored_days import StoredDays, list_old
from proxy.telemetry.background import repeat
from proxy.telemetry.metrics import Metrics

DELETE_EVERY_S = 600.0
_ABANDONED_EVERY_S = 15.0

_ABANDONED = """
SELECT partial_jobs.job, partial_jobs.account, partial_jobs.steps, jobs.state FROM partial_jobs
LEFT JOIN jobs ON jobs.id = partial_jobs.job WHERE lease <= :now LIMIT 100
"""

Tidy = Callable[[], Awaitable[None]]

_log = structlog.get_logger()


class JobRetention:
    """Deletes jobs `days` after their end. Some `plans` have other days. Each revision of the configuration
    sets both. `tidies` are called before each deletion."""

    def __init__(self, files: JobFiles, metrics: Metrics, tidies: Sequence[Tidy] = ()) -> None:
        self.days = JobSection().days
        self.plans: Mapping[str, Plan] = {}
        self._tidies = tidies
        self._files = files
        self._store = files.store
        self._metrics = metrics

    async def run(self) -> None:
        """Delete old jobs now and every ten minutes. Finish abandoned jobs now and every 15 seconds."""
        await asyncio.gather(
            repeat("deletion of old jobs", self.delete_old, DELETE_EVERY_S, self._metrics, tidies=True),
            repeat(
                "jobs without a writer", self.end_abandoned, _ABANDONED_EVERY_S, self._metrics, tidies=True
            ),
        )

    async def end_abandoned(self) -> None:
        """Remove the jobs that a killed process was making or removing. Finish the cancellations that it had
        begun."""
        for row in await self._store.read(_ABANDONED, {"now": await self._store.now()}):
            if row["state"] in (None, "making", "removed"):
                await self._files.remove_job(row["job"], row["account"])
            else:
                await ends.cancel_steps(self._store, row["job"], row["steps"])

    async def delete_old(self) -> int:
        """Delete old jobs, and return their number."""
        now, deleted = await self._store.now(), 0
        stored = stored_days(self.days, self.plans)
        await self._files.remove_erased(now - stored.longest_us)
        for tidy in self._tidies:
            await tidy()
        while batch := await list_old(self._store, "jobs", "ended", stored, now):
            for job, account in batch:
                await self._files.remove_job(job, account)
                deleted += 1
        if deleted:
            _log.info("job.retention.complete", jobs=deleted)
        return deleted


def stored_days(days: float, plans: Mapping[str, Plan]) -> StoredDays:
    """Return how long jobs and files are stored."""
    return StoredDays.of(days, {name: plan.job_days for name, plan in plans.items()})
