"""The feature jobs, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from proxy.feature import Feature, House, HouseRevision, Opened, Served
from proxy.features.jobs.batches.uploads import TABLE as FILES_TABLE
from proxy.features.jobs.records import TABLES, StepRows
from proxy.features.jobs.section import JOBS
from proxy.http.resource import Resource
from proxy.speech.speech_request import Defaults
from proxy.storage.tables import Table
from proxy.work.wishes import WishKind


@asynccontextmanager
async def _open(house: House) -> AsyncIterator[Opened]:
    from proxy.features.jobs.batches.endpoints import Batches, Files
    from proxy.features.jobs.batches.maker import BatchMaker
    from proxy.features.jobs.conversions.maker import ConversionMaker
    from proxy.features.jobs.endpoints import AskedAs, ClientJobs, JobMakers, Jobs
    from proxy.features.jobs.event_stream import EventStreams, JobEvents
    from proxy.features.jobs.kept import JobFiles
    from proxy.features.jobs.metrics import JobMetrics
    from proxy.features.jobs.results.encoding import FileSteps
    from proxy.features.jobs.results.endpoints import JobResults
    from proxy.features.jobs.retention import JobRetention
    from proxy.features.jobs.step_endpoints import JobSteps
    from proxy.features.jobs.steps import Steps
    from proxy.features.jobs.wiring import open_elsewhere, open_kinds

    files = JobFiles(house.store, house.vault)
    retention = JobRetention(house.store, files, house.metrics, house.notices)
    streams = EventStreams()
    async with open_kinds(house, files) as kinds, open_elsewhere(house):
        steps: Steps | None = None
        wishes: tuple[WishKind[Any], ...] = ()
        if house.engines is not None:
            metrics = JobMetrics(house.metrics.registry)
            encoding = FileSteps(house.store, house.vault, files, house.notices)
            steps = Steps(house.store, kinds.by_name, files, metrics, house.notices, encoding)
            wishes = (steps, encoding)

        def at(revision: HouseRevision) -> Served:
            section = JOBS.of(revision.config)
            retention.days, retention.plans = section.days, revision.config.plans
            tools, speaking = revision.admin_tools, revision.speaking
            jobs = [
                *Jobs(tools, files, steps, house.notices).endpoints,
                *JobSteps(tools, files, steps, house.receipts).endpoints,
            ]
            if steps is None or speaking is None:
                return Served(jobs)
            steps.revise(speaking, tools.callers, here=section.here, serves=revision.config.serves)
            maker = BatchMaker(tools, files, house.notices)
            asked_as = AskedAs(Defaults.of(revision.config.server), section.step_characters)
            conversions = ConversionMaker(tools, files, kinds.decoder, house.grants, speaking)
            asked = ClientJobs(tools, files, steps, speaking, asked_as, JobMakers(maker, conversions))
            given: list[Resource] = [
                JobEvents(tools, files, steps, streams),
                JobResults(tools, files, steps),
                Files(tools, files, retention.kept_us),
                Batches(tools, steps, speaking, maker, house.notices),
            ]
            more = [endpoint for each in given for endpoint in each.endpoints]
            return Served([*asked.endpoints, *more, *jobs], background=asked)

        yield Opened(
            at=at, wishes=wishes, alone=(retention.run,), files=(files,), steps=StepRows(house.store)
        )


FEATURE = Feature("jobs", _open, tables=(*TABLES, FILES_TABLE, Table("introductions", key=("engine",))))
