"""Trainings: jobs with one step, which trains a model of a voice from its recordings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from policies.plans import Terms
from policies.routing import Model
from policies.routing.filters import may_see
from proxy.api.speech_forms import BackgroundRequest
from proxy.catalogue.trained_voice_store import TrainedVoiceStore
from proxy.errors import Conflict, InvalidRequest, NotFound
from proxy.feature import AppContext, RevisionContext
from proxy.features.consents.grants import Grants
from proxy.features.jobs.core.bodies import Progress, ShownTraining
from proxy.features.jobs.core.content import whole_reply
from proxy.features.jobs.core.encoded_records import WHOLE_JOB, list_encoded
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.kind import JobKind, JobUpload
from proxy.features.jobs.core.making import MadeJob, NewJob, add_job, jobs_not_allowed, make_once
from proxy.features.jobs.core.records import Job
from proxy.features.jobs.kinds.training import records
from proxy.features.jobs.kinds.training.bills import TrainingBills
from proxy.features.jobs.kinds.training.ending import TrainingEnds
from proxy.features.jobs.kinds.training.on_runners import TrainingsOnRunners
from proxy.features.jobs.kinds.training.records import Training
from proxy.features.jobs.kinds.training.training_engines import TrainingEngines
from proxy.features.jobs.kinds.training.training_input import TrainingFields, TrainingInput
from proxy.features.jobs.kinds.training.trainings import Trainings
from proxy.features.jobs.section import runs_steps
from proxy.features.webhooks.delivery_tasks import DeliveryTasks
from proxy.file_store.sealed_blobs import StoredFile
from proxy.file_store.vault import Vault
from proxy.hosts.memory_reservations import NO_RESERVATIONS, SupervisorReservations
from proxy.http.body import Title
from proxy.speech import speech_request
from proxy.speech.usage_tag import Tag
from proxy.storage.store import Statement

MOST_STEPS = 20_000
USUAL_STEPS = 4_000
MOST_SEED = 2**31 - 1


class TrainingBody(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /v1/jobs for a training: the voice that learns, and the model that is to speak or
    convert with it. It ends after `steps`, or earlier when the voice becomes no better."""

    kind: Annotated[str, Meta(description="training", extra_json_schema={"const": "training"})]
    voice: Annotated[str, Meta(min_length=1, max_length=200, description="an own voice, by its id or name")]
    model: Annotated[str, Meta(min_length=1, max_length=200, description="a model that trains")]
    steps: Annotated[int, Meta(ge=1, le=MOST_STEPS, description=f"a number from 1 to {MOST_STEPS}")] = (
        USUAL_STEPS
    )
    seed: Annotated[int, Meta(ge=0, le=MOST_SEED, description=f"a number from 0 to {MOST_SEED}")] = 0
    tag: Tag | None = None
    title: Title = ""

    def __repr__(self) -> str:
        return f"<TrainingBody for {self.model[:40]}>"


FORMAT = "onnx"
"""The format of a training's result: the voice as a file that other programs can use."""
ONNX = "application/octet-stream"
"""ONNX has no media type of its own."""


class TrainingParts(NamedTuple):
    """The objects of a worker that trains voices."""

    task_kinds: Trainings
    bills: TrainingBills
    ends: TrainingEnds
    input_reader: TrainingInput
    trainers: TrainingEngines
    on_runners: TrainingsOnRunners

    @classmethod
    def of(cls, context: AppContext, files: JobFiles) -> TrainingParts:
        assert context.engines is not None, "a command trains nothing"
        link = context.link
        reservations = NO_RESERVATIONS if link is None else SupervisorReservations(link.ask, link.send)
        trainers = TrainingEngines(context.registry, context.engines, context.config_at_start, reservations)
        input_reader = TrainingInput(
            context.store, context.find(Vault), context.own_voices, context.find(Grants), context.samples
        )
        models = TrainedVoiceStore(context.store, context.find(Vault))
        ends = TrainingEnds(context.store, models, context.metrics.registry, context.find(DeliveryTasks))
        on_runners = TrainingsOnRunners(context.store, files, input_reader, trainers)
        task_kinds = Trainings(files, trainers, input_reader, on_runners, ends)
        return cls(
            task_kinds,
            TrainingBills(context.ledger, files, context.metrics),
            ends,
            input_reader,
            trainers,
            on_runners,
        )


class TrainingKind(JobKind):
    """The kind of trainings. A command has no `parts`, since it begins no training."""

    name = "training"
    body = TrainingBody
    retry_refusal = "A training is not tried again: ask for another one."
    subtitles_refusal = "A training has no subtitles."

    def __init__(self, files: JobFiles, parts: TrainingParts | None) -> None:
        super().__init__(files)
        self._parts_if_worker = parts

    @property
    def _parts(self) -> TrainingParts:
        assert self._parts_if_worker is not None, "a command trains nothing"
        return self._parts_if_worker

    def revise(self, revision: RevisionContext) -> None:
        if (parts := self._parts_if_worker) is None:
            return
        config, speaking, catalogue = revision.config, revision.speaking, revision.catalogue
        assert speaking is not None, "a worker speaks"
        assert catalogue is not None, "a worker speaks"
        parts.trainers.revise(config)
        parts.input_reader.revise(speaking, revision.admin_tools.callers, catalogue.licences)
        parts.ends.revise(revision.library, revision.context.purges)
        parts.task_kinds.runs_steps = runs_steps(config, is_shared=self.store.is_shared)

    async def make(
        self, background: BackgroundRequest, revision: RevisionContext, upload: JobUpload | None
    ) -> MadeJob:
        """Make a training. The rights to train are checked and the price is held before the job is added."""
        body = await asyncio.to_thread(speech_request.parse, TrainingBody, background.body)
        body = replace(body, tag=background.tag(body.tag))
        made = await make_once(self.files, background, partial(self._add, revision, background, body))
        self._parts.task_kinds.look_now()
        return made

    async def progress(self, jobs: Sequence[Job]) -> dict[str, Progress]:
        ids = [job.id for job in jobs]
        trainings = await records.find_by_jobs(self.store, ids)
        charged = await records.list_charges(self.store, ids)
        return {job.id: _progress(job, trainings.get(job.id), charged.get(job.id, 0)) for job in jobs}

    async def content(self, job: Job, request: Request, revision: RevisionContext) -> Response:
        blobs = await list_encoded(self.store, job.id, WHOLE_JOB)
        if not blobs:
            why = (
                "The training has no ONNX: its voice could not be written so, was trained again, or was "
                "deleted. If it is there, GET /v1/audio/voices/{id}/model has it."
            )
            raise Conflict(why if job.state == "done" else "The training has no voice.", param="id")
        sound, range_ = StoredFile.of_blobs(self.files, blobs), request.headers.get("range")
        return whole_reply(sound, f"{job.id}.{job.format}", ONNX, range_)

    def end_statements(self, job: Job, *, by_account: bool) -> Sequence[Statement]:
        return (records.owe_part_statement(job.id),) if by_account else ()

    async def after_cancel(self, job: Job) -> None:
        if self._parts_if_worker is not None:
            await self._parts_if_worker.bills.settle_ended(job.id)

    async def _add(
        self,
        revision: RevisionContext,
        background: BackgroundRequest,
        body: TrainingBody,
        id_: str,
        digest: bytes,
    ) -> None:
        caller, terms = background.caller, background.terms
        if terms.job_characters == 0:
            raise jobs_not_allowed(terms)
        account, parts = caller.account, self._parts
        model = self._find_trainable_model(revision, body.model, terms)
        voice = await revision.library.find_record(account, body.voice)
        if voice is None:
            raise NotFound(
                f"You have no voice '{body.voice[:80]}'. A training needs an own voice.",
                param="voice",
                code="voice_not_found",
            )
        await parts.input_reader.allowed_recordings(terms, voice, model.info.runner)
        await parts.bills.settle_ended(id_)
        created = await self.store.now()
        hold = await parts.bills.hold(id_, created, caller, terms)
        is_added = False
        try:
            fields = TrainingFields(
                request=digest.hex(),
                title=body.title,
                model=model.name,
                voice=voice.id,
                seed=body.seed,
                most_steps=body.steps,
            )
            training = Training(
                id=id_,
                account=account,
                voice=voice.id,
                payer=caller.key,
                hold=hold.hold_request.request_id,
                engine=model.engine,
                model=model.info.id,
                format=parts.trainers.format_of(model.engine),
                most_steps=body.steps,
                asked=body.steps,
                tag=body.tag or "",
            )
            one_step = [(0, 0)]  # it is not a piece of a text
            new = NewJob(id_, self.name, FORMAT, fields, b"", one_step, created=created, steps_are="training")
            new = new._replace(tag=training.tag)
            with_statements = (records.insert_statement(training), parts.bills.store_statement(hold))
            is_added = await add_job(self.files, background, new, lambda _: with_statements)
        finally:
            # A write whose answer was lost may have succeeded: then the sweep finds the training and its
            # hold.
            parts.bills.price.keep_or_drop(hold, is_stored=is_added)

    def _find_trainable_model(self, revision: RevisionContext, name: str, terms: Terms) -> Model:
        """Return the model for which a voice is trained. Raises InvalidRequest, and the errors of
        `resolve_models`."""
        catalogue = revision.catalogue
        assert catalogue is not None, "a worker has a catalogue"
        for model in catalogue.resolve_models(name):
            is_able = model.info.trains and self._parts.trainers.format_of(model.engine)
            # Rented machines fetch recordings from this server, and send their results to it.
            can_reach_server = revision.config.server.public_url or not model.info.runner
            if is_able and can_reach_server and may_see(model, terms, catalogue.licences):
                return model
        raise InvalidRequest(
            f"The model '{name[:80]}' cannot train voices.", param="model", code="unsupported_model"
        )


def _progress(job: Job, training: Training | None, credits: int) -> Progress:
    if training is None:
        return Progress(has_begun=False, credits=credits)
    is_done = job.state == "done"
    return Progress(
        has_begun=bool(training.stage),
        steps_done=int(is_done),
        credits=credits,
        training=_shown_training(training, is_done=is_done),
        is_settling=job.state == "canceled" and training.state == "owed_part",
    )


def _shown_training(training: Training, *, is_done: bool) -> ShownTraining:
    return ShownTraining(
        voice=training.voice,
        model=f"{training.engine}/{training.model}",
        stage="done" if is_done else training.stage,
        step=training.step,
        steps=training.most_steps,
        mel=round(training.mel, 4) if training.mel else None,
        best=round(training.best, 4) if training.best else None,
        eta_seconds=None if training.eta_s is None else round(training.eta_s, 1),
    )
