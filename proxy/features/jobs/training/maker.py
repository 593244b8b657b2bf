"""Makes trainings: who may train what is asked here, and the price is held before anything begins."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from policies.plans import Terms
from policies.routing import Model
from policies.routing.filters import is_open
from proxy.access.callers import Caller
from proxy.api.speech_forms import BackgroundRequest
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.library import Library
from proxy.errors import InvalidRequest, NotFound
from proxy.features.jobs.kept import JobFiles
from proxy.features.jobs.making import MadeJob, add_job, made_once, no_jobs
from proxy.features.jobs.records import Job
from proxy.features.jobs.training import records
from proxy.features.jobs.training.bills import TrainingBills
from proxy.features.jobs.training.bodies import TrainingBody
from proxy.features.jobs.training.learning import Learning, TrainingFields
from proxy.features.jobs.training.records import Training
from proxy.features.jobs.training.trainers import Trainers
from proxy.kept.vault import Vault
from proxy.storage.store import Store

FORMAT = "onnx"
"""Of what is fetched of a training: its voice as others can use it."""


class TrainingMeans(NamedTuple):
    """What trainings are made with, whatever the configuration is."""

    store: Store
    vault: Vault
    files: JobFiles
    learning: Learning
    trainers: Trainers
    bills: TrainingBills
    look_soon: Callable[[], None]


class TrainingMaker:
    """How accounts ask for trainings, in one revision of the configuration."""

    def __init__(
        self, means: TrainingMeans, catalogue: Catalogue, library: Library, *, is_reachable: bool
    ) -> None:
        self._means = means
        self._catalogue = catalogue
        self._library = library
        # Rented machines fetch what they learn from, and bring what they have learnt.
        self._is_reachable = is_reachable

    def look_soon(self) -> None:
        """Begin what was just asked for."""
        self._means.look_soon()

    async def make(self, request: BackgroundRequest, asked: TrainingBody) -> MadeJob:
        """Make a training. Raises InvalidRequest, NotFound, NotAllowed, QuotaExceeded, RateLimited,
        IdempotencyKeyReused and UpstreamFailed."""
        add = partial(self._add, request.caller, request.terms, asked)
        return await made_once(self._means.store, self._means.vault, request, add)

    async def _add(self, caller: Caller, terms: Terms, asked: TrainingBody, id_: str, digest: bytes) -> None:
        if terms.job_characters == 0:
            raise no_jobs(terms)
        account, means = caller.account, self._means
        model = self._model(asked.model, terms)
        voice = await self._library.find(account, asked.voice)
        if voice is None:
            raise NotFound(
                f"You have no voice '{asked.voice[:80]}'. A training needs an own voice.",
                param="voice",
                code="voice_not_found",
            )
        await means.learning.check(terms, voice, model.info.runner)
        await means.bills.make_room(id_)
        created = await means.store.now()
        hold = await means.bills.hold(id_, created, caller, terms)
        is_added = False
        try:
            fields = TrainingFields(request=digest.hex(), seed=asked.seed, most_steps=asked.steps)
            sealed = await means.vault.seal_record(account, id_, fields)
            job = Job(
                id=id_,
                account=account,
                key=caller.key,
                kind="training",
                created=created,
                format=FORMAT,
                characters=0,
                bytes=len(sealed.sealed),
                steps=1,
                digest=await means.files.put(account, b""),
                wrapped=sealed.wrapped,
                sealed=sealed.sealed,
            )
            training = Training(
                id=id_,
                account=account,
                voice=voice.id,
                payer=caller.key,
                hold=hold.hold_request.request_id,
                engine=model.engine,
                model=model.info.id,
                format=means.trainers.format_of(model.engine),
                most_steps=asked.steps,
                asked=asked.steps,
            )
            beside = (records.insert_statement(training), means.bills.kept_statement(hold))
            is_added = await add_job(means.store, means.files, job, [(0, 0)], beside, kind="training")
        finally:
            # A write whose answer is lost may be there: then the sweep sees its row, and the hold in it.
            if is_added:
                means.bills.kept(hold)
            else:
                means.bills.dropped(hold)

    def _model(self, name: str, terms: Terms) -> Model:
        """Return the model for which a voice is trained. Raises as `resolve_model` does."""
        found = self._catalogue.resolve_model(name)
        for model in found:
            is_able = model.info.trains and self._means.trainers.format_of(model.engine)
            is_near = self._is_reachable or not model.info.runner
            if is_able and is_near and is_open(model, terms, self._catalogue.licences):
                return model
        raise InvalidRequest(
            f"The model '{name[:80]}' cannot train voices.", param="model", code="unsupported_model"
        )
