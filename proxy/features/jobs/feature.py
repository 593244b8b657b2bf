"""The feature jobs, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from proxy.feature import Feature, House, HouseRevision, Opened, Served
from proxy.features.jobs.batches.uploads import TABLE as FILES_TABLE
from proxy.features.jobs.records import TABLES, StepRows
from proxy.features.jobs.section import JOBS
from proxy.features.jobs.training.records import TABLE as TRAININGS
from proxy.http.resource import Resource
from proxy.speech.speech_request import Defaults
from proxy.storage.tables import Table
from proxy.work.wishes import WishKind


@asynccontextmanager
async def _open(house: House) -> AsyncIterator[Opened]:
    from proxy.features.jobs.batches.endpoints import Batches, Files
    from proxy.features.jobs.batches.maker import BatchMaker
    from proxy.features.jobs.endpoints import AskedAs, ClientJobs, Jobs
    from proxy.features.jobs.event_stream import EventStreams, JobEvents
    from proxy.features.jobs.kept import JobFiles
    from proxy.features.jobs.metrics import JobMetrics
    from proxy.features.jobs.results.encoding import FileSteps
    from proxy.features.jobs.results.endpoints import JobResults
    from proxy.features.jobs.retention import JobRetention
    from proxy.features.jobs.step_endpoints import JobSteps
    from proxy.features.jobs.steps import Steps
    from proxy.features.jobs.training.wiring import OpenTrainings, open_trainings

    files = JobFiles(house.store, house.vault)
    retention = JobRetention(house.store, files, house.metrics, house.notices)
    streams = EventStreams()
    steps: Steps | None = None
    trainings: OpenTrainings | None = None
    wishes: tuple[WishKind[Any], ...] = ()
    if house.engines is not None:
        metrics = JobMetrics(house.metrics.registry)
        encoding = FileSteps(house.store, house.vault, files, house.notices)
        steps = Steps(house.store, house.vault, files, metrics, house.notices, encoding)
        trainings = open_trainings(house, files)
        wishes = (steps, encoding, trainings.wishes)

    def at(revision: HouseRevision) -> Served:
        section = JOBS.of(revision.config)
        retention.days, retention.plans = section.days, revision.config.plans
        tools, speaking = revision.admin_tools, revision.speaking
        jobs = [
            *Jobs(tools, files, steps, house.notices).endpoints,
            *JobSteps(tools, files, steps, house.receipts).endpoints,
        ]
        if steps is None or trainings is None or speaking is None:
            return Served(jobs)
        steps.revise(speaking, tools.callers, here=section.here, serves=revision.config.serves)
        maker = BatchMaker(tools, files, house.notices)
        asked_as = AskedAs(Defaults.of(revision.config.server), section.step_characters)

        def look_soon() -> None:
            steps.look_soon()
            trainings.wishes.look_soon()

        asked = ClientJobs(tools, files, steps, speaking, asked_as, maker, trainings.at(revision), look_soon)
        given: list[Resource] = [
            JobEvents(tools, files, steps, streams),
            JobResults(tools, files, steps),
            Files(tools, files, retention.kept_us),
            Batches(tools, steps, speaking, maker, house.notices),
        ]
        more = [endpoint for each in given for endpoint in each.endpoints]
        return Served([*asked.endpoints, *more, *jobs], background=asked)

    async with _engines_elsewhere(house):
        yield Opened(
            at=at,
            wishes=wishes,
            alone=(retention.run, *(() if trainings is None else (trainings.bills.run,))),
            memories=() if trainings is None else (trainings.wishes,),
            files=(files, *(() if trainings is None else (trainings.ends,))),
            steps=StepRows(house.store),
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


_TABLES = (*TABLES, FILES_TABLE, TRAININGS, Table("introductions", key=("engine",)))
FEATURE = Feature("jobs", _open, tables=_TABLES)
