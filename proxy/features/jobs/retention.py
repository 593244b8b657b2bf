"""The end of old jobs, and of what is left of sound that must not be kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import structlog

from policies.plans import Plan
from policies.wishes import SECOND
from proxy.catalogue.notices import NO_NOTICES, Notices
from proxy.features.jobs.core import ends
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.kinds.batch import uploads
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

_log = structlog.get_logger()


class KeptSince(NamedTuple):
    """What ended before `before` is kept no longer, or before another moment on some plans."""

    before: int
    by_plan: Mapping[str, int]

    @property
    def earliest(self) -> int:
        return min(self.before, *self.by_plan.values()) if self.by_plan else self.before

    @property
    def latest(self) -> int:
        return max(self.before, *self.by_plan.values()) if self.by_plan else self.before


async def list_old(store: Store, kept: KeptSince, limit: int) -> list[tuple[str, str]]:
    """List id and account of jobs that are kept no longer."""
    params: dict[str, str | int] = {"before": kept.before, "latest": kept.latest, "limit": limit}
    cases = []
    for number, (plan, before) in enumerate(sorted(kept.by_plan.items())):
        params |= {f"plan{number}": plan, f"before{number}": before}
        cases.append(f"WHEN :plan{number} THEN CAST(:before{number} AS BIGINT)")
    moment = "CAST(:before AS BIGINT)"
    if cases:
        moment = f"CASE accounts.plan {' '.join(cases)} ELSE {moment} END"
    rows = await store.read(_OLD.format(before=moment), params)
    return [(row["id"], row["account"]) for row in rows]


class JobRetention:
    """`days` are those of the configuration, and some of its `plans` have others. Each revision sets them."""

    def __init__(
        self, store: Store, files: JobFiles, metrics: Metrics, notices: Notices = NO_NOTICES
    ) -> None:
        self.days = JobSection().days
        self.plans: Mapping[str, Plan] = {}
        self._store = store
        self._files = files
        self._metrics = metrics
        self._notices = notices

    def kept_us(self, plan: str) -> int:
        """Return how long a file is kept on this plan, in microseconds."""
        days = self.plans[plan].job_days if plan in self.plans else None
        return _us(self.days if days is None else days)

    async def run(self) -> None:
        """Look now, and every ten minutes."""
        await repeat("deletion of old jobs", self._turn, EVERY_S, self._metrics)

    async def _turn(self) -> None:
        try:
            await ends.expire(self._store, self._notices)
            await self.delete_old()
        except StorageFailed as error:
            _log.warning("job.retention.failed", reason=str(error))

    async def delete_old(self) -> int:
        """Delete what is too old. Return how many jobs that were."""
        now, deleted = await self._store.now(), 0
        by_plan = {name: plan.job_days for name, plan in self.plans.items() if plan.job_days is not None}
        kept = KeptSince(now - _us(self.days), {name: now - _us(days) for name, days in by_plan.items()})
        await self._files.remove_erased(kept.earliest)
        await self._files.drop_encoded()
        while files := await uploads.list_old(self._store, now, _BATCH):
            for file, account in files:
                await self._files.remove_file(file, account)
        while batch := await list_old(self._store, kept, _BATCH):
            for job, account in batch:
                await self._files.remove_job(job, account)
                deleted += 1
        if deleted:
            _log.info("job.retention.complete", jobs=deleted)
        return deleted


def _us(days: float) -> int:
    return round(days * 86_400 * SECOND)
