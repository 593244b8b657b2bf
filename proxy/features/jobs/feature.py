"""The feature jobs, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Feature, House, HouseRevision, Opened, Served
from proxy.features.jobs.records import TABLES, StepRows
from proxy.features.jobs.section import JOBS


@asynccontextmanager
async def _open(house: House) -> AsyncIterator[Opened]:
    from proxy.features.jobs.endpoints import ClientJobs, Jobs
    from proxy.features.jobs.kept import JobFiles
    from proxy.features.jobs.metrics import JobMetrics
    from proxy.features.jobs.retention import JobRetention
    from proxy.features.jobs.steps import Steps

    files = JobFiles(house.store, house.vault)
    retention = JobRetention(house.store, files, house.metrics)
    steps: Steps | None = None
    if house.engines is not None:
        metrics = JobMetrics(house.metrics.registry)
        steps = Steps(house.store, house.vault, files, metrics, house.notices)

    def at(revision: HouseRevision) -> Served:
        retention.days = JOBS.of(revision.config).days
        tools, speaking = revision.admin_tools, revision.speaking
        jobs = Jobs(tools, files, steps)
        if steps is None or speaking is None:
            return Served(jobs.endpoints)
        steps.revise(speaking, tools.callers)
        return Served([*ClientJobs(tools, files, steps, speaking).endpoints, *jobs.endpoints])

    yield Opened(
        at=at,
        wishes=() if steps is None else (steps,),
        alone=(retention.run,),
        files=(files,),
        steps=StepRows(house.store),
    )


FEATURE = Feature("jobs", _open, tables=TABLES)
