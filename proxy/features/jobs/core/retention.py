"""The end of old jobs, and the deletion of sound that must not be stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from policies.plans import Plan
from policies.tasks import SECOND
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.section import JobSection
from proxy.storage.store import StorageFailed, Store
from proxy.telemetry.background import repeat
from proxy.telemetry.metrics import Metrics

EVERY_S = 600.0
_BATCH = 100

_OLD = """
SELECT jobs.id, jobs.account FROM jobs JOIN accounts ON accounts.id = jobs.account
WHERE jobs.ended < :latest AND jobs.ended < {before}
AND accounts.suspended IS NULL AND accounts.resumed < {before} ORDER BY jobs.ended LIMIT :limit
"""

Tidy = Callable[[], Awaitable[None]]

_log = structlog.get_logger()


async def list_old(store: Store, before: int, by_plan: Mapping[str, int]) -> list[tuple[str, str]]:
    """List id and account of jobs that ended before this moment, or before another one on some plans."""
    latest = max([before, *by_plan.values()])
    params: dict[str, str | int] = {"before": before, "latest": latest, "limit": _BATCH}
    cases = []
    for number, (plan, moment) in enumerate(sorted(by_plan.items())):
        params |= {f"plan{number}": plan, f"before{number}": moment}
        cases.append(f"WHEN :plan{number} THEN CAST(:before{number} AS BIGINT)")
    usual = "CAST(:before AS BIGINT)"
    sql = f"CASE accounts.plan {' '.join(cases)} ELSE {usual} END" if cases else usual
    rows = await store.read(_OLD.format(before=sql), params)
    return [(row["id"], row["account"]) for row in rows]


class JobRetention:
    """Deletes jobs after `days` of the configuration. Some `plans` have other days. Each revision sets
    both."""

    def __init__(self, files: JobFiles, metrics: Metrics, tidies: Sequence[Tidy] = ()) -> None:
        self.days = JobSection().days
        self.plans: Mapping[str, Plan] = {}
        self._tidies = tidies
        self._files = files
        self._store = files.store
        self._metrics = metrics

    async def run(self) -> None:
        """Look now, and every ten minutes."""
        await repeat("deletion of old jobs", self._turn, EVERY_S, self._metrics)

    async def _turn(self) -> None:
        try:
            await self.delete_old()
        except StorageFailed as error:
            _log.warning("job.retention.failed", reason=str(error))

    async def delete_old(self) -> int:
        """Delete old jobs, and return their number."""
        now, deleted = await self._store.now(), 0
        before = now - stored_us(self.days, self.plans, "")
        own = [name for name, plan in self.plans.items() if plan.job_days is not None]
        by_plan = {name: now - stored_us(self.days, self.plans, name) for name in own}
        await self._files.remove_erased(min([before, *by_plan.values()]))
        await self._files.drop_encoded()
        for tidy in self._tidies:
            await tidy()
        while batch := await list_old(self._store, before, by_plan):
            for job, account in batch:
                await self._files.remove_job(job, account)
                deleted += 1
        if deleted:
            _log.info("job.retention.complete", jobs=deleted)
        return deleted


def stored_us(days: float, plans: Mapping[str, Plan], plan: str) -> int:
    """Return how long a job or a file is stored on this plan, in microseconds."""
    own = plans[plan].job_days if plan in plans else None
    return round((days if own is None else own) * 86_400 * SECOND)
