"""The feature jobs, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from proxy.feature import Feature, House, HouseRevision, Opened, Served
from proxy.features.jobs.records import TABLES
from proxy.features.jobs.section import JOBS
from proxy.speech.speech_request import Defaults
from proxy.work.wishes import WishKind


@asynccontextmanager
async def _open(house: House) -> AsyncIterator[Opened]:
    from proxy.features.jobs.encoding import FileSteps
    from proxy.features.jobs.endpoints import ClientJobs, Jobs
    from proxy.features.jobs.kept import JobFiles
    from proxy.features.jobs.metrics import JobMetrics
    from proxy.features.jobs.results import JobResults
    from proxy.features.jobs.retention import JobRetention
    from proxy.features.jobs.steps import Steps

    files = JobFiles(house.store, house.vault)
    retention = JobRetention(house.store, files, house.metrics)
    steps: Steps | None = None
    wishes: tuple[WishKind[Any], ...] = ()
    if house.engines is not None:
        metrics = JobMetrics(house.metrics.registry)
        encoding = FileSteps(house.store, house.vault, files, house.notices)
        steps = Steps(house.store, house.vault, files, metrics, house.notices, encoding)
        wishes = (steps, encoding)

    def at(revision: HouseRevision) -> Served:
        retention.days = JOBS.of(revision.config).days
        tools, speaking = revision.admin_tools, revision.speaking
        jobs = Jobs(tools, files, steps)
        if steps is None or speaking is None:
            return Served(jobs.endpoints)
        steps.revise(speaking, tools.callers)
        asked = ClientJobs(tools, files, steps, speaking, Defaults.of(revision.config.server))
        made = JobResults(tools, files, steps)
        return Served([*asked.endpoints, *made.endpoints, *jobs.endpoints], background=asked)

    yield Opened(
        at=at,
        wishes=wishes,
        alone=(retention.run,),
        files=(files,),
    )


FEATURE = Feature("jobs", _open, tables=TABLES)
