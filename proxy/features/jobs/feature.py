"""The feature jobs, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Feature, House, HouseRevision, Opened, Served
from proxy.features.jobs.records import TABLES
from proxy.features.jobs.section import JOBS
from proxy.storage.tables import Table


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
        section = JOBS.of(revision.config)
        retention.days = section.days
        tools, speaking = revision.admin_tools, revision.speaking
        jobs = Jobs(tools, files, steps)
        if steps is None or speaking is None:
            return Served(jobs.endpoints)
        steps.revise(speaking, tools.callers, here=section.here, serves=revision.config.serves)
        return Served([*ClientJobs(tools, files, steps, speaking).endpoints, *jobs.endpoints])

    async with _engines_elsewhere(house):
        yield Opened(
            at=at,
            wishes=() if steps is None else (steps,),
            alone=(retention.run,),
            files=(files,),
        )


@asynccontextmanager
async def _engines_elsewhere(house: House) -> AsyncIterator[None]:
    """Tell servers, or ask workers, what engines have. A command has none, and SQLite no workers."""
    from proxy.features.jobs.elsewhere import EVERY_S, EnginesElsewhere
    from proxy.telemetry.background import RepeatingTask

    if house.engines is None or not house.store.is_shared:
        yield
        return
    elsewhere = EnginesElsewhere(house.store, house.engines)
    turn = elsewhere.ask if house.config_at_start.serves else elsewhere.tell
    repeated = RepeatingTask("engines of workers", turn, EVERY_S, house.metrics)
    try:
        yield
    finally:
        await repeated.close()


FEATURE = Feature("jobs", _open, tables=(*TABLES, Table("introductions", key=("engine",))))
