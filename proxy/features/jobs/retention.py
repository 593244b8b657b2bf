"""The end of old jobs, and of what is left of sound that must not be kept."""

from __future__ import annotations

import structlog

from policies.wishes import SECOND
from proxy.features.jobs import removals
from proxy.features.jobs.kept import JobFiles
from proxy.features.jobs.section import JobSection
from proxy.storage.store import StorageFailed, Store
from proxy.telemetry.background import repeat
from proxy.telemetry.metrics import Metrics

EVERY_S = 600.0
_BATCH = 100

_log = structlog.get_logger()


class JobRetention:
    """`days` are those of the configuration. Each revision sets them."""

    def __init__(self, store: Store, files: JobFiles, metrics: Metrics) -> None:
        self.days = JobSection().days
        self._store = store
        self._files = files
        self._metrics = metrics

    def __repr__(self) -> str:
        return f"<JobRetention of {self.days:g} days>"

    async def run(self) -> None:
        """Look now, and every ten minutes."""
        await repeat("deletion of old jobs", self._turn, EVERY_S, self._metrics)

    async def _turn(self) -> None:
        try:
            await self.delete_old()
        except StorageFailed as error:
            _log.warning("job.retention.failed", reason=str(error))

    async def delete_old(self) -> int:
        """Delete what is too old. Return how many jobs that were."""
        before, deleted = await self._store.now() - round(self.days * 86_400 * SECOND), 0
        await self._files.remove_erased(before)
        await self._files.drop_encoded()
        while batch := await removals.list_old(self._store, before, _BATCH):
            for job, account in batch:
                await self._files.remove_job(job, account)
                deleted += 1
        if deleted:
            _log.info("job.retention.complete", jobs=deleted)
        return deleted
