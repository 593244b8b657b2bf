"""A worker that trains and ends itself once a checkpoint is stored, for `tests/forked.py`: `main(CONFIG)`."""

import os
import signal
from pathlib import Path

from proxy.app import open_worker
from proxy.engines import registry
from proxy.feature_list import load_config
from proxy.features.jobs.kinds.training import process, training_input
from proxy.features.jobs.kinds.training.following import BlobFile, TrainingJournal
from proxy.features.jobs.kinds.training.training_input import TrainingFields
from proxy.features.jobs.kinds.training.trainings import Trainings
from tests.features.jobs.training import training_rig


async def main(file: str) -> None:
    keep = TrainingJournal._store_checkpoint

    async def keep_and_end(journal: TrainingJournal, checkpoint: BlobFile) -> None:
        await keep(journal, checkpoint)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(TrainingJournal, "_store_checkpoint", keep_and_end)  # noqa: B010 - its own process
    setattr(TrainingFields, "order", property(training_rig.early_order))  # noqa: B010
    setattr(process, "JOB_NICENESS", 0)  # noqa: B010
    training_input.LEAST_RECORDINGS = training_rig.RECORDINGS
    async with open_worker(load_config(Path(file), {}), registry.load()) as worker:
        (kind,) = [kind for kind in worker.task_kinds if isinstance(kind, Trainings)]
        await kind.run(worker.metrics, await worker.store.now())
