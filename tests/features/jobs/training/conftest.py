"""A training in these tests needs fewer recordings than one of the shipped server."""

import pytest

from proxy.features.jobs.kinds.training import training_input
from proxy.features.jobs.kinds.training.process import TrainingProcess
from tests.features.jobs.training.training_rig import RECORDINGS, early_checkpoints, train_here

__all__ = ["early_checkpoints"]


@pytest.fixture
def trainer_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trainer is in this process: for a test of what is before and after a training."""
    monkeypatch.setattr(TrainingProcess, "train", train_here)


@pytest.fixture(autouse=True)
def few_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_input, "LEAST_RECORDINGS", RECORDINGS)
