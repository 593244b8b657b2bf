"""A training in these tests needs fewer recordings than one of the shipped server."""

from __future__ import annotations

import pytest

from proxy.features.jobs.kinds.training import training_input
from proxy.features.jobs.kinds.training.process import TrainingProcess
from proxy.features.jobs.kinds.training.training_input import TrainingFields
from speech_engine.training import TrainingOrder
from tests.features.jobs.training.training_rig import RECORDINGS, train_here


@pytest.fixture
def trainer_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trainer is in this process: for a test of what is before and after a training."""
    monkeypatch.setattr(TrainingProcess, "train", train_here)


@pytest.fixture
def early_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint is due every fifty steps, and not every 500."""

    def order(fields: TrainingFields) -> TrainingOrder:
        return TrainingOrder(seed=fields.seed, most_steps=fields.most_steps, checkpoint_every=50)

    monkeypatch.setattr(TrainingFields, "order", property(order))


@pytest.fixture(autouse=True)
def few_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_input, "LEAST_RECORDINGS", RECORDINGS)
