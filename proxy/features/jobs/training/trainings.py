"""The trainings under way in one worker: each in a process of its own, from its last checkpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import structlog

from proxy.errors import ErrorDetail, RequestFailed
from proxy.features.jobs import records as job_records
from proxy.features.jobs.kept import JobFiles
from proxy.features.jobs.records import JOBS, Job, JobStep, Waits
from proxy.features.jobs.results import encoded_records
from proxy.features.jobs.training import records
from proxy.features.jobs.training.blobs import DamagedFile, pieces_of
from proxy.features.jobs.training.ending import VOICE_ERASED, TrainingEnds
from proxy.features.jobs.training.following import TrainingJournal
from proxy.features.jobs.training.learning import Learning, TrainingInputs, VoiceDeleted
from proxy.features.jobs.training.process import (
    LearntVoice,
    MemoryLacking,
    TrainingBroken,
    TrainingInterrupted,
    TrainingProcess,
    TrainingRefused,
)
from proxy.features.jobs.training.records import CHECKPOINT, TRAININGS, Training
from proxy.features.jobs.training.trainers import Trainers
from proxy.kept.vault import VaultFailed
from proxy.storage.store import Condition, StorageFailed, Store
from proxy.work.wishes import Again, Result, WishKind

MOST_TRIES = 4
WAITS_S = 15.0
_LOOK_S = 1.0
_LEFT = Again(is_try=False)
_IS_NOT_ABLE = ErrorDetail(
    "This server cannot train voices as it is set up now; ask its operator.",
    "server_error",
    None,
    "internal_error",
)
_HAS_FAILED = ErrorDetail("The training has failed on this server.", "server_error", None, "internal_error")

_log = structlog.get_logger()


class Trainings(WishKind[JobStep]):
    """One at a time: a training takes what a device has."""

    name = "trainings"
    table = TRAININGS
    at_once = 1
    outlives = False
    is_for_workers = True
    hands_over = True

    def __init__(
        self, store: Store, files: JobFiles, trainers: Trainers, learning: Learning, ends: TrainingEnds
    ) -> None:
        super().__init__(store)
        self._files = files
        self._trainers = trainers
        self._learning = learning
        self._ends = ends
        self._processes: dict[str, TrainingProcess] = {}
        self.is_here = True

    async def list_open(self, now: int) -> list[JobStep]:
        return await super().list_open(now) if self.is_here else []

    def gives_up(self, wish: JobStep) -> bool:
        return wish.tries + 1 >= MOST_TRIES

    def only_if(self, held: JobStep) -> Condition:
        return job_records.is_wanted(held)

    def noted(self, held: JobStep, result: Result) -> None:
        del held, result
        self._ends.look_soon()

    def forget_voice(self, voice: str, digests: Collection[str]) -> None:
        """End the training of a voice at once: it is being erased."""
        del digests
        if (process := self._processes.get(voice)) is not None:
            process.kill()

    async def close(self) -> None:
        """Let each process write a checkpoint, and stop it."""
        for process in self._processes.values():
            process.stop_soon()
        await super().close()

    async def work(self, held: JobStep) -> Result:
        job = await JOBS.get(self._store, None, held.job)
        training = await records.get(self._store, held.job)
        if job is None or job.state != "open" or training is None:
            return _LEFT
        try:
            return await self._learnt(job, held, training)
        except VoiceDeleted:
            return await self._ends.failed(held, VOICE_ERASED)
        except TrainingRefused as refused:
            detail = ErrorDetail(str(refused), "invalid_request_error", "voice", "unusable_sample")
            return await self._ends.failed(held, detail)
        except RequestFailed as failure:
            if failure.status >= 500 or failure.status == 429:
                return Again(failure.message, WAITS_S, is_try=False)
            return await self._ends.failed(held, failure.body().error)
        except MemoryLacking as lacking:
            return await self._waits(held, "memory", str(lacking), max(lacking.after_s, WAITS_S))
        except TrainingInterrupted:
            return _LEFT
        except (TrainingBroken, DamagedFile, VaultFailed) as broken:
            return await self._broken(held, broken)

    async def _learnt(self, job: Job, held: JobStep, training: Training) -> Result:
        spec, info = self._trainers.find(training.engine), self._trainers.info(training.engine)
        if spec is None or info is None:
            # Another process may have it.
            return await self._waits(held, "engine", "its engine is not here", WAITS_S)
        asked = await self._learning.ask(job, training, info)
        if job.waits:
            await job_records.wait_for(self._store, job.id, "")
        journal = TrainingJournal(self._store, self._files, held, training)
        process = self._processes[training.voice] = TrainingProcess(spec, self._trainers.book)
        try:
            with self._trainers.held(spec):
                learnt = await self._while_open(job, process, asked, journal)
            if learnt is None:
                return _LEFT
            await self._trainers.check(spec, learnt.file)
            await self._ends.done(held, training, learnt, journal.forms)
            return None
        finally:
            del self._processes[training.voice]
            await journal.drop()

    async def _while_open(
        self, job: Job, process: TrainingProcess, asked: TrainingInputs, journal: TrainingJournal
    ) -> LearntVoice | None:
        """Train until the end, or until the job goes on no longer: another worker may have been told."""
        checkpoint = await encoded_records.list_encoded(self._store, job.id, CHECKPOINT)
        pieces = pieces_of(self._files, checkpoint, "checkpoint") if checkpoint else None
        training = asyncio.create_task(process.train(asked.order, asked.recordings, pieces, journal))
        looking = asyncio.create_task(self._until_over(job.id))
        try:
            await asyncio.wait({training, looking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            looking.cancel()
            training.cancel()
            await asyncio.wait({training, looking})
        return None if training.cancelled() else training.result()

    async def _until_over(self, job: str) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                found = await JOBS.get(self._store, None, job)
            except StorageFailed:
                continue
            if found is None or found.state != "open":
                return

    async def _waits(self, held: JobStep, what: Waits, why: str, after_s: float) -> Again:
        if why != held.error:
            # Once: it may wait for hours.
            _log.warning("job.training.waits", job=held.job, reason=why)
            await job_records.wait_for(self._store, held.job, what)
        return Again(why, after_s, is_try=False)

    async def _broken(self, held: JobStep, broken: Exception) -> Result:
        job = await JOBS.get(self._store, None, held.job)
        if job is None or job.state != "open":
            return _LEFT
        _log.warning("job.training.broken", job=held.job, reason=str(broken), tries=held.tries + 1)
        if isinstance(broken, TrainingBroken) and broken.lasting:
            return await self._ends.failed(held, _IS_NOT_ABLE)
        if self.gives_up(held):
            return await self._ends.failed(held, _HAS_FAILED)
        return Again("The training was broken off, and goes on.", WAITS_S)
