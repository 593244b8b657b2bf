"""A training in these tests needs fewer recordings than one of the shipped server."""

from __future__ import annotations

import pytest

from proxy.features.jobs.kinds.training import training_input
from tests.features.jobs.training.training_rig import RECORDINGS


@pytest.fixture(autouse=True)
def few_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_input, "LEAST_RECORDINGS", RECORDINGS)
