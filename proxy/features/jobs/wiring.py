"""Jobs, wired: what lives as long as a worker or a command, and what each revision adds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from proxy.catalogue.derived_things import VoiceFiles, VoiceMemory
from proxy.feature import House, HouseRevision, Opened, Served
from proxy.features.jobs.core.encoding import FileSteps
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.metrics import JobMetrics
from proxy.features.jobs.core.steps import Steps
from proxy.features.jobs.endpoints import AskedAs, ClientJobs, JobMakers, Jobs
from proxy.features.jobs.event_stream import EventStreams, JobEvents
from proxy.features.jobs.kind_list import OpenKinds, open_kinds
from proxy.features.jobs.kinds.batch.endpoints import Batches, Files
from proxy.features.jobs.kinds.batch.files import BatchFiles, batch_places
from proxy.features.jobs.kinds.batch.maker import BatchMaker
from proxy.features.jobs.kinds.conversion.maker import ConversionMaker
from proxy.features.jobs.kinds.training.elsewhere import TrainingsElsewhere
from proxy.features.jobs.kinds.training.wiring import OpenTrainings, open_trainings
from proxy.features.jobs.remote.elsewhere import EVERY_S, EnginesElsewhere
from proxy.features.jobs.remote.wiring import open_remote
from proxy.features.jobs.result_endpoints import JobResults
from proxy.features.jobs.retention import JobRetention
from proxy.features.jobs.section import JOBS
from proxy.features.jobs.step_endpoints import JobSteps
from proxy.http.resource import Resource
from proxy.speech.speech_request import Defaults
from proxy.telemetry.background import RepeatingTask
from proxy.work.wishes import WishKind


class OpenJobs:
    """The jobs of one worker, or of a command, which works on none."""

    def __init__(self, house: House, kinds: OpenKinds) -> None:
        self.files = JobFiles(house.store, house.vault)
        self._house = house
        self._decoder = kinds.decoder
        self._retention = JobRetention(house.store, self.files, house.metrics, house.notices)
        self._streams = EventStreams()
        self._batch_places = batch_places()
        self._steps: Steps | None = None
        self._trainings: OpenTrainings | None = None
        self.wishes: tuple[WishKind[Any], ...] = ()
        if house.engines is not None:
            encoding = FileSteps(house.store, house.vault, self.files, house.notices)
            metrics = JobMetrics(house.metrics.registry)
            self._steps = Steps(house.store, kinds.by_name, self.files, metrics, house.notices, encoding)
            self._trainings = open_trainings(house, self.files, metrics)
            self.wishes = (self._steps, encoding, self._trainings.wishes)

    @property
    def alone(self) -> Sequence[Callable[[], Coroutine[None, None, None]]]:
        """What one worker of a server runs."""
        return (self._retention.run, *((self._trainings.bills.run,) if self._trainings else ()))

    @property
    def far_trainings(self) -> TrainingsElsewhere | None:
        return self._trainings.far if self._trainings else None

    @property
    def memories(self) -> Sequence[VoiceMemory]:
        return (self._trainings.wishes,) if self._trainings else ()

    @property
    def voice_files(self) -> Sequence[VoiceFiles]:
        return (self.files, *((self._trainings.ends,) if self._trainings else ()))

    def at(self, revision: HouseRevision) -> Served:
        section, house, files = JOBS.of(revision.config), self._house, self.files
        self._retention.days, self._retention.plans = section.days, revision.config.plans
        tools, speaking, steps = revision.admin_tools, revision.speaking, self._steps
        bills = self._trainings.bills if self._trainings else None
        jobs = [
            *Jobs(tools, files, steps, house.notices, bills).endpoints,
            *JobSteps(tools, files, steps, house.receipts).endpoints,
        ]
        if steps is None or self._trainings is None or speaking is None:
            return Served(jobs)
        steps.revise(speaking, tools.callers, here=section.here, serves=revision.config.serves)
        batches = BatchMaker(tools, files, house.notices)
        batch_files = BatchFiles(house.store, files, speaking.admission.counter, self._batch_places)
        asked_as = AskedAs(Defaults.of(revision.config.server), section.step_characters)
        conversions = ConversionMaker(tools, files, self._decoder, house.grants, speaking)
        makers = JobMakers(batches, conversions, self._trainings.at(revision))
        asked = ClientJobs(tools, files, steps, speaking, asked_as, makers)
        given: list[Resource] = [
            JobEvents(tools, files, steps, self._streams),
            JobResults(tools, files, steps, batch_files),
            Files(tools, files, batch_files, self._retention.kept_us),
            Batches(tools, steps, speaking, batches, house.notices),
        ]
        more = [endpoint for each in given for endpoint in each.endpoints]
        return Served([*asked.endpoints, *more, *jobs], background=asked)


@asynccontextmanager
async def open_jobs(house: House) -> AsyncIterator[Opened]:
    """Open the jobs of a worker, or of a command, and the rented machines of a worker."""
    async with open_kinds(house) as kinds, _introduced(house):
        jobs = OpenJobs(house, kinds)
        opened = Opened(
            at=jobs.at, wishes=jobs.wishes, alone=jobs.alone, memories=jobs.memories, files=jobs.voice_files
        )
        if jobs.far_trainings is None:
            yield opened
            return
        async with open_remote(house, jobs.far_trainings) as remote:

            def at(revision: HouseRevision) -> Served:
                remote.links.root = revision.config.server.public_url
                served = jobs.at(revision)
                return served._replace(endpoints=[*served.endpoints, *remote.endpoints])

            yield opened._replace(at=at, alone_here=remote.alone_here)


@asynccontextmanager
async def _introduced(house: House) -> AsyncIterator[None]:
    """Tell servers, or ask workers, what engines have. A command has none, and SQLite no workers."""
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
