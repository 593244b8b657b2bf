"""The trainer of RVC: a process of its own, in the environment of the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from plugins.rvc.plugin import RvcSettings
from speech_engine.plugin import Context, Plugin
from speech_engine.training import (
    FileRole,
    Recording,
    TrainedVoice,
    TrainingError,
    TrainingOrder,
    TrainingTalk,
)


class RvcTrainer:
    """Learns a voice of version 2 with pitch."""

    def train(
        self, order: TrainingOrder, recordings: Sequence[Recording], checkpoint: bytes, talk: TrainingTalk
    ) -> TrainedVoice:
        raise TrainingError("not yet")

    def export(self, voice: bytes, form: FileRole) -> bytes:
        raise TrainingError("not yet")


@asynccontextmanager
async def _create(name: str, settings: RvcSettings, context: Context) -> AsyncIterator[RvcTrainer]:
    yield RvcTrainer()


def voxgate_register() -> tuple[Plugin[RvcSettings], ...]:
    return (Plugin(kind="trainer", name="rvc", settings=RvcSettings, create=_create),)
