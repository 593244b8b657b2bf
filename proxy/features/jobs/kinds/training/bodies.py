"""Trainings as they are asked for, and as answers show them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from proxy.features.jobs.core.bodies import ShownTraining
from proxy.features.jobs.kinds.training.records import Training

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

    def __repr__(self) -> str:
        return f"<TrainingBody for {self.model[:40]}>"


def shown_training(training: Training, *, is_done: bool) -> ShownTraining:
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
