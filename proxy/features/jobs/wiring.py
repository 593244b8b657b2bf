"""Jobs, wired: what lives as long as a worker or a command, and what each revision adds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from proxy.catalogue.derived_things import VoiceFiles, VoiceMemory
from proxy.catalogue.far_trainings import FarTrainings
from proxy.feature import House, HouseRevision, Served
from proxy.features.jobs.batches.endpoints import Batches, Files
from proxy.features.jobs.batches.files import BatchFiles, batch_places
from proxy.features.jobs.batches.maker import BatchMaker
from proxy.features.jobs.conversions.maker import ConversionMaker
from proxy.features.jobs.elsewhere import EVERY_S, EnginesElsewhere
from proxy.features.jobs.endpoints import AskedAs, ClientJobs, JobMakers, Jobs
from proxy.features.jobs.event_stream import EventStreams, JobEvents
from proxy.features.jobs.kept import JobFiles
from proxy.features.jobs.kind_list import OpenKinds
from proxy.features.jobs.results.encoding import FileSteps
from proxy.features.jobs.results.endpoints import JobResults
from proxy.features.jobs.retention import JobRetention
from proxy.features.jobs.section import JOBS
from proxy.features.jobs.step_endpoints import JobSteps
from proxy.features.jobs.steps import Steps
from proxy.features.jobs.training.wiring import OpenTrainings, open_trainings
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
            registry = house.metrics.registry
            self._steps = Steps(house.store, kinds.by_name, self.files, registry, house.notices, encoding)
            self._trainings = open_trainings(house, self.files)
            self.wishes = (self._steps, encoding, self._trainings.wishes)

    @property
    def alone(self) -> Sequence[Callable[[], Coroutine[None, None, None]]]:
        """What one worker of a server runs."""
        return (self._retention.run, *((self._trainings.bills.run,) if self._trainings else ()))

    @property
    def far_trainings(self) -> FarTrainings | None:
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
async def open_elsewhere(house: House) -> AsyncIterator[None]:
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
