"""The objects of jobs that live as long as a worker or a command, and the additions of each revision."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import NamedTuple

from proxy.api.speech_answers import SpeechReporter
from proxy.api.speech_forms import Background
from proxy.catalogue.recognition import LocalRecognition
from proxy.feature import Additions, AppContext, FeatureInstance, RevisionContext
from proxy.features.consents.comparison import SpeakerComparison
from proxy.features.consents.grants import Grants
from proxy.features.jobs.again_endpoints import JobAgain, preview_places
from proxy.features.jobs.core.encoding import FileSteps
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.kind import JobKinds
from proxy.features.jobs.core.mailed import describe_mail
from proxy.features.jobs.core.retention import JobRetention
from proxy.features.jobs.core.steps import Steps
from proxy.features.jobs.endpoints import ClientJobs, EventStreams, JobEvents, Jobs, add_kind_bodies
from proxy.features.jobs.file_endpoints import Files, upload_places
from proxy.features.jobs.kinds.batch.endpoints import Batches
from proxy.features.jobs.kinds.batch.kind import BatchKind
from proxy.features.jobs.kinds.conversion.kind import ConversionKind
from proxy.features.jobs.kinds.cut.kind import FORM_FIELDS as CUT_FIELDS
from proxy.features.jobs.kinds.cut.kind import CutKind, JobCutting
from proxy.features.jobs.kinds.speech.kind import SpeechKind
from proxy.features.jobs.kinds.training.kind import TrainingKind, TrainingParts
from proxy.features.jobs.kinds.transcription.kind import TranscriptionKind
from proxy.features.jobs.remote.introducing import EXCHANGE_EVERY_S, RemoteEngines
from proxy.features.jobs.remote.open_remote import open_remote
from proxy.features.jobs.result_endpoints import JobResults
from proxy.features.jobs.section import SECTION, runs_steps
from proxy.features.jobs.step_endpoints import JobSteps
from proxy.features.mail.mails import Mails
from proxy.features.transcriptions.hearing import HearingParts
from proxy.features.webhooks.delivery_tasks import DeliveryTasks
from proxy.file_store.vault import Vault
from proxy.http.resource import Resource
from proxy.speech.part_check import NO_CHECK
from proxy.telemetry.background import RepeatingTask


@asynccontextmanager
async def open_jobs(context: AppContext) -> AsyncIterator[FeatureInstance]:
    jobs = OpenJobs(context)
    if jobs.step_tasks is None:
        yield FeatureInstance(
            context.with_shared(jobs.kinds),
            jobs.additions_for,
            tasks_of_one_server=(jobs.retention.run,),
            files=(jobs.files,),
        )
        return
    steps, encoding, trainings = jobs.step_tasks
    remote = open_remote(context, trainings.on_runners)
    async with _exchange_introductions(context), remote as rented:

        def additions_for(revision: RevisionContext) -> Additions:
            rented.links.root = revision.config.server.public_url
            served = jobs.additions_for(revision)
            return served._replace(endpoints=[*served.endpoints, *rented.endpoints])

        yield FeatureInstance(
            context.with_shared(jobs.cutting).with_shared(jobs.kinds),
            additions_for,
            task_kinds=(steps, encoding, trainings.task_kinds),
            tasks_of_one_server=(jobs.retention.run, trainings.bills.run),
            tasks_of_each_server=rented.lone_tasks,
            memories=(trainings.task_kinds,),
            files=(jobs.files, trainings.ends),
        )


class StepTasks(NamedTuple):
    """The tasks that run the steps of jobs in a worker."""

    steps: Steps
    encoding: FileSteps
    trainings: TrainingParts


class OpenJobs:
    """The objects for the jobs of one worker, or of a command. A command runs no steps: its `step_tasks` are
    None."""

    def __init__(self, context: AppContext) -> None:
        self.files = files = JobFiles(context.store, context.find(Vault))
        self.step_tasks: StepTasks | None = None
        self._notices = notices = context.find(DeliveryTasks)
        context.find(Mails).describe = partial(describe_mail, context.store)
        self._streams, self._upload_places = EventStreams(), upload_places()
        self._preview_places = preview_places()
        self._batches = BatchKind(files, notices)
        decoder = context.find(HearingParts).long_decoder
        recognition, grants = context.find_shared_or(LocalRecognition()), context.find(Grants)
        conversions = ConversionKind(files, decoder, grants, context.ledger)
        self._hearing = context.find(HearingParts)
        self._transcriptions = TranscriptionKind(files, decoder, context.ledger)
        comparison = context.find(SpeakerComparison)
        self._cuts = CutKind(files, decoder, context.ledger, recognition, grants, comparison)
        self.cutting = JobCutting()
        self.kinds = JobKinds(
            files, (SpeechKind(files), self._batches, conversions, self._transcriptions, self._cuts)
        )
        trainings = None
        if context.engines is not None:
            trainings = TrainingParts.of(context, files)
            encoding = FileSteps(
                context.store, context.find(Vault), files, notices, self.kinds.facts_of, self.kinds.make_files
            )
            reporter = context.find_shared_or(SpeechReporter())
            registry = context.metrics.registry
            check = context.find_shared_or(NO_CHECK)
            steps = Steps(
                context.store, self.kinds.step_kinds, files, registry, notices, encoding, reporter, check
            )
            self.step_tasks = StepTasks(steps, encoding, trainings)
        self._trainings = TrainingKind(files, trainings)
        self.kinds.add_kind(self._trainings)
        self.retention = JobRetention(files, context.metrics, (self._batches.tidy,))

    def additions_for(self, revision: RevisionContext) -> Additions:
        section, tools, kinds = SECTION.of(revision.config), revision.admin_tools, self.kinds
        self.retention.days, self.retention.plans = section.days, revision.config.plans
        steps = None if self.step_tasks is None else self.step_tasks.steps
        resources: list[Resource] = [
            Jobs(kinds, revision, steps, self._notices),
            JobSteps(kinds, tools),
        ]
        background: Background | None = None
        if steps is not None and revision.speaking is not None:
            runs = runs_steps(revision.config, is_shared=self.files.store.is_shared)
            steps.revise(revision.speaking, tools.callers, runs_steps=runs, serves=revision.config.serves)
            self._trainings.revise(revision)
            if (hearing := self._hearing.hearing(revision)) is not None:
                self._transcriptions.hearing = self._cuts.hearing = hearing
            background = client = ClientJobs(kinds, revision, steps, self._hearing.uploads)
            self.cutting.begin = partial(client.make_of_form, self._cuts, CUT_FIELDS)
            events, results = JobEvents(kinds, tools, self._streams), JobResults(kinds, revision)
            files = Files(self._batches, self._upload_places, revision)
            batches = Batches(self._batches, revision, steps)
            again = JobAgain(kinds, client, self._preview_places, revision)
            resources = [client, again, events, results, files, batches, *resources]
        endpoints = [each for resource in resources for each in resource.endpoints]
        return Additions(add_kind_bodies(endpoints, kinds), background=background)


@asynccontextmanager
async def _exchange_introductions(context: AppContext) -> AsyncIterator[None]:
    """Until the block ends, publish the introductions of this worker's engines, or read those of other
    workers if this process serves. A command has no engines, and SQLite has no workers: then it does
    nothing."""
    if context.engines is None or not context.store.is_shared:  # a command, or a server on SQLite
        yield
        return
    remote_engines = RemoteEngines(context.store, context.engines)
    exchange = (
        remote_engines.read_introductions
        if context.config_at_start.serves
        else remote_engines.publish_introductions
    )
    async with aclosing(RepeatingTask("engines of workers", exchange, EXCHANGE_EVERY_S, context.metrics)):
        yield
