"""Runs the trainings of one worker, each from its last checkpoint: in a process of its own, or in runs on
rented machines."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from functools import partial

import msgspec
import structlog

from proxy.engines.remote_engine import RemoteEngine
from proxy.errors import AccountSuspended, ErrorDetail, JobUsedUp, RequestFailed, from_engine
from proxy.features.jobs.core import encoded_records
from proxy.features.jobs.core import records as job_records
from proxy.features.jobs.core.encoded_records import EncodedBlob
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.records import JOBS, Job, JobStep, Waits
from proxy.features.jobs.kinds.training import records
from proxy.features.jobs.kinds.training.ending import IS_DUE, VOICE_ERASED, TrainingEnds
from proxy.features.jobs.kinds.training.following import TrainingJournal, read_pieces
from proxy.features.jobs.kinds.training.on_runners import TrainingsOnRunners
from proxy.features.jobs.kinds.training.process import (
    TrainingBroken,
    TrainingProcess,
    TrainingResult,
)
from proxy.features.jobs.kinds.training.records import TRAININGS, Training
from proxy.features.jobs.kinds.training.remote_runs import TrainingWork
from proxy.features.jobs.kinds.training.training_engines import TrainingEngines
from proxy.features.jobs.kinds.training.training_input import TrainingInput, TrainingInputs
from proxy.file_store.vault import VaultFailed
from proxy.queue.tasks import TRY_AGAIN, Delayed, Result, TaskKind
from proxy.storage import accounts
from proxy.storage.store import Condition, Statement, until_written
from speech_engine import EngineCannot, EngineError, EngineUnavailable
from speech_engine.training import TrainingDone, TrainingEnd, TrainingFailed, TrainingStopped

MOST_TRIES = 4
WAITS_S = 15.0
"""The least delay before another try."""
_OTHER_MACHINE_WAIT_S = 60.0
_MOST_LISTED = 32
_WRITE_END_TRIES = 6
_CANNOT_TRAIN = ErrorDetail(
    "This server cannot train voices as it is set up now; ask its operator.",
    "server_error",
    None,
    "internal_error",
)
_FAILURE = ErrorDetail("The training has failed on this server.", "server_error", None, "internal_error")

_log = structlog.get_logger()


class Trainings(TaskKind[JobStep]):
    """The trainings of one worker. It runs one at a time, because a training needs a whole device. A remote
    training has a machine of its own."""

    name = "trainings"
    table = TRAININGS
    most_at_once = 1
    at_once_remote = 8
    of_account_remote = 2
    may_outlive_worker = False
    is_for_workers = True
    releases_lease_when_cancelled = True
    # A step and a checkpoint of a large network take long.
    closing_s = 20.0

    def __init__(
        self,
        files: JobFiles,
        trainers: TrainingEngines,
        input_reader: TrainingInput,
        on_runners: TrainingsOnRunners,
        ends: TrainingEnds,
    ) -> None:
        super().__init__(files.store)
        self.on_runners = on_runners
        self._files = files
        self.trainers = trainers
        self._input_reader = input_reader
        self._ends = ends
        # The voice and the process of each step under way here.
        self._processes: dict[str, tuple[str, TrainingProcess]] = {}
        # The remote steps, under way or listed.
        self._remote: set[str] = set()
        self.runs_steps = True

    async def list_open(self, now: int) -> list[JobStep]:
        if not self.runs_steps:
            return []
        steps = await self.table.list_open(self._store, now, _MOST_LISTED)
        trainings = await records.find_by_jobs(self._store, {step.job for step in steps})
        on_runners = {
            id_
            for id_, training in trainings.items()
            if self.trainers.remote_engine(training.engine) is not None
        }
        self._remote &= self._under_way.keys()
        self._remote |= {step.id for step in steps if step.job in on_runners}
        return steps

    def concurrency_limits(self, task: JobStep) -> Mapping[Hashable, int]:
        if task.id in self._remote:
            return {
                "elsewhere": self.at_once_remote,
                ("elsewhere", task.account): self.of_account_remote,
            }
        return {"here": self.most_at_once}

    def is_last_try(self, task: JobStep) -> bool:
        return task.tries + 1 >= MOST_TRIES

    def commit_condition(self, step: JobStep) -> Condition:
        return job_records.step_condition(step)

    def after_attempt(self, step: JobStep, result: Result) -> None:
        del step, result
        self._ends.look_now()

    def forget_voice(self, voice: str, digests: Collection[str]) -> None:
        """End the training of a voice at once: it is being erased."""
        del digests
        for of_voice, process in self._processes.values():
            if of_voice == voice:
                process.kill()

    async def watch_attempt(self, step: JobStep) -> None:
        """Let a process write a checkpoint and end once its account is suspended. A remote run is paid for,
        so it runs to its end, and the next run waits."""
        found = self._processes.get(step.id)
        if found is not None and await accounts.is_suspended(self._store, step.account):
            _, process = found
            process.stop_soon()

    async def close(self) -> None:
        """Let each process write a checkpoint and end. A remote run goes on, and another worker takes its
        results."""
        for _, process in self._processes.values():
            process.stop_soon()
        for id_ in self._remote & self._under_way.keys():
            task, _ = self._under_way[id_]
            task.cancel()
        await super().close()

    async def work(self, step: JobStep) -> Result:
        job = await JOBS.get(self._store, None, step.job)
        training = await records.get(self._store, step.job)
        if job is None or job.state != "open" or training is None:
            return TRY_AGAIN
        last_checkpoint = await self.on_runners.list_checkpoint(job.id)
        try:
            return await self._train(job, step, training)
        except JobUsedUp as failure:
            return await self._ends.end_as_failed(step, from_engine(failure).body().error)
        except AccountSuspended as suspended:
            return await self._wait(step, "suspended", suspended.message, WAITS_S)
        except RequestFailed as failure:
            if failure.status >= 500 or failure.status == 429:
                return Delayed(failure.message, WAITS_S, is_try=False)
            why = failure.body().error
            # Of these refusals, only missing recordings are caused by the account: a consent cannot change
            # while it has voices, and the plan is the operator's.
            return await self._ends.end_as_failed(step, why, is_owners=why.code == "too_few_recordings")
        except EngineUnavailable as away:
            return await self._wait(step, "engine", away.reason, max(away.retry_after_s or 0.0, WAITS_S))
        except TrainingBroken as broken:
            return await self._after_broken_training(step, broken, last_checkpoint)
        except (VaultFailed, EngineError) as broken:
            return await self._after_fault(step, broken, last_checkpoint)

    async def _train(self, job: Job, step: JobStep, training: Training) -> Result:
        trainers = self.trainers
        engine, info = trainers.remote_engine(training.engine), trainers.trained_model_info(training.engine)
        process = trainers.find_trainer(training.engine)
        if info is None or (process is None and engine is None):
            # Another process may have the engine.
            return await self._wait(step, "engine", "its engine is not here", WAITS_S)
        inputs = await self._input_reader.training_inputs(job, training, info)
        if inputs is None:
            return await self._ends.end_as_failed(step, VOICE_ERASED)
        if job.waits:
            await job_records.write_wait_reason(self._store, job.id, "")
        if process is None:
            assert engine is not None
            return await self._train_remotely(step, training, engine, inputs)
        return await self._train_locally(step, training, process, inputs)

    async def _train_locally(
        self, step: JobStep, training: Training, process: TrainingProcess, inputs: TrainingInputs
    ) -> Result:
        journal = TrainingJournal(self._store, self._files, step, training)
        self._processes[step.id] = training.voice, process
        try:
            with self.trainers.protect_models(process.engine):
                learned = await self._run_training(training.id, process, inputs, journal)
            if learned is None:
                return TRY_AGAIN
            await self.trainers.check_trained_file(training.engine, learned.file)
            rows = [row for export in journal.exports for row in export.rows]
            await self._end(step, training, learned, encoded_records.insert_statements(rows, IS_DUE))
            return None
        finally:
            del self._processes[step.id]
            await journal.drop()

    async def _run_training(
        self, job: str, process: TrainingProcess, inputs: TrainingInputs, journal: TrainingJournal
    ) -> TrainingResult | None:
        checkpoint = await self.on_runners.list_checkpoint(job)
        async with AsyncExitStack() as stack:
            recordings = await stack.enter_async_context(aclosing(inputs.recordings))
            pieces = read_pieces(self._files, checkpoint, "checkpoint") if checkpoint else None
            if pieces is not None:
                await stack.enter_async_context(aclosing(pieces))
            return await process.train(inputs.order, recordings, pieces, journal)

    async def _train_remotely(
        self, step: JobStep, training: Training, engine: RemoteEngine, inputs: TrainingInputs
    ) -> Result:
        """Train in one run, or join the run under way. If its time is too short, the next attempt begins
        another run. Its messages come through an endpoint, perhaps of another worker."""
        job, runs = training.id, self.on_runners.runs.get(engine.name)
        if runs is None:
            raise EngineUnavailable(f"{engine.name} is not there: {engine.reason}")
        fingerprint = msgspec.json.encode((training.model, inputs.order, inputs.digests)).decode()
        work = TrainingWork(training.account, job, step.id, fingerprint, inputs.digests)
        run, end = await runs.train(work)
        try:
            is_over = await self._take_result(step, training, end)
        except TrainingBroken:
            await runs.discard_result(run)
            raise
        if is_over:
            return None
        # The training is not complete: the next attempt needs another run.
        await runs.discard_result(run)
        return Delayed(is_try=False, values={"tries": 0})

    async def _take_result(self, step: JobStep, training: Training, end: TrainingEnd) -> bool:
        """Take the result of a run, and tell whether the training is complete. Raises TrainingBroken."""
        match end:
            case TrainingStopped(steps):
                if not steps:
                    raise TrainingBroken("a run is too short for a step: its runner needs a larger most_s")
                return False
            case TrainingFailed(reason, is_owners):
                raise TrainingBroken(reason, is_owners=is_owners)
            case TrainingDone() as done:
                on_runners = self.on_runners
                learned = TrainingResult(await on_runners.read_voice(training.id), done)
                await self.trainers.check_trained_file(training.engine, learned.file)
                await self._end(step, training, learned, (on_runners.result_statement(training.id, IS_DUE),))
        return True

    async def _end(
        self, step: JobStep, training: Training, learned: TrainingResult, export_rows: Sequence[Statement]
    ) -> None:
        """Write the end of a training, with retries while the database is away: hours of work depend on
        it."""
        self.stop_watching(step)
        end = partial(self._ends.end_with_voice, step, training, learned, export_rows)
        await until_written(end, _WRITE_END_TRIES, WAITS_S)

    async def _wait(self, step: JobStep, waits_for: Waits, why: str, after_s: float) -> Delayed:
        if why != step.error:
            # It is logged once, since the training may wait for hours.
            _log.warning("job.training.waits", job=step.job, reason=why)
            await job_records.write_wait_reason(self._store, step.job, waits_for)
        return Delayed(why, after_s, is_try=False)

    async def _after_broken_training(
        self, step: JobStep, broken: TrainingBroken, checkpoint: list[EncodedBlob]
    ) -> Result:
        if broken.is_owners:
            unusable = ErrorDetail(str(broken), "invalid_request_error", "voice", "unusable_sample")
            return await self._ends.end_as_failed(step, unusable)
        if broken.memory_after_s is not None:
            return await self._wait(step, "memory", str(broken), max(broken.memory_after_s, WAITS_S))
        return await self._after_fault(step, broken, checkpoint)

    async def _after_fault(self, step: JobStep, broken: Exception, checkpoint: list[EncodedBlob]) -> Result:
        """Return another try from the last checkpoint, or the end of the job after too many tries. If there
        is a newer one than `checkpoint`, that of the attempt's beginning, the count of tries begins again."""
        job = await JOBS.get(self._store, None, step.job)
        if job is None or job.state != "open":
            return TRY_AGAIN
        await records.drop_lost_steps(self._store, job.id)
        _log.warning("job.training.broken", job=step.job, reason=str(broken), tries=step.tries + 1)
        is_lasting = isinstance(broken, TrainingBroken) and broken.lasting
        if is_lasting and self._store.is_shared:
            # Another machine may be able to train.
            return await self._wait(step, "engine", str(broken), _OTHER_MACHINE_WAIT_S)
        if is_lasting or isinstance(broken, EngineCannot):
            return await self._ends.end_as_failed(step, _CANNOT_TRAIN)
        why = "The training was broken off, and goes on."
        if await self.on_runners.list_checkpoint(step.job) != checkpoint:
            # This is the first failure since its last progress.
            return Delayed(why, WAITS_S, is_try=False, values={"tries": 1})
        if self.is_last_try(step):
            return await self._ends.end_as_failed(step, _FAILURE)
        return Delayed(why, WAITS_S)
