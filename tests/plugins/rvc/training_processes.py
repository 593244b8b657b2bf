"""Processes that train voices of RVC in its environment, as the server drives them, and what they tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import cache
from typing import TypeVar

from plugins.rvc.plugin import HOSTED
from proxy.config.sections import EngineSection
from proxy.engines.memory_reservations import NO_RESERVATIONS
from proxy.engines.registry import HostedEngineSpec
from proxy.features.jobs.kinds.training.process import TrainingProcess, TrainingResult
from speech_engine.training import FilePiece, Recording, TrainingOrder, TrainingProgress
from tests.plugins import neural
from tests.plugins.rvc.kept_host import SOURCE_HZ, recording

_Each = TypeVar("_Each")

ORDER = TrainingOrder(seed=7, most_steps=16, batch=2, checkpoint_every=4, forms=())


@cache
def recordings() -> tuple[Recording, ...]:
    return tuple(Recording(SOURCE_HZ, recording(8.0, number)) for number in range(3))


def new_process() -> TrainingProcess:
    """Return a process that has not begun. Skips the test where the environment is absent."""
    neural.interpreter("rvc")
    neural.lend("rvc")
    folder = str(neural.kept_model("rvc", "begins"))
    section = EngineSection("rvc", device="cpu", settings={"model_path": folder})
    spec = HostedEngineSpec("rvc", HOSTED, section)
    return TrainingProcess(spec, neural.environ(neural.ROOT), None, NO_RESERVATIONS)


class Followed:
    """A `TrainingFollower` that keeps what it is told, and does something at a step."""

    def __init__(self, step: int = 0, act: Callable[[], object] = int) -> None:
        self.told: list[TrainingProgress] = []
        self.pieces: list[FilePiece] = []
        self._step = step
        self._act = act

    async def progress(self, progress: TrainingProgress) -> None:
        self.told.append(progress)
        if progress.stage == "training" and progress.step == self._step:
            self._act()

    async def piece(self, piece: FilePiece) -> None:
        self.pieces.append(piece)

    @property
    def steps(self) -> list[int]:
        return [each.step for each in self.told if each.stage == "training"]

    @property
    def checkpoint(self) -> list[FilePiece]:
        """The pieces of the last checkpoint that is whole."""
        last = max(each.step for each in self.pieces if each.role == "checkpoint" and each.is_last)
        return [each for each in self.pieces if each.role == "checkpoint" and each.step == last]

    def file(self, role: str) -> bytes:
        return b"".join(each.data for each in self.pieces if each.role == role)


async def train(
    process: TrainingProcess,
    follower: Followed,
    order: TrainingOrder = ORDER,
    checkpoint: Sequence[FilePiece] = (),
    given: Sequence[Recording] | None = None,
) -> TrainingResult:
    sent = recordings() if given is None else given
    pieces = each_of(checkpoint) if checkpoint else None
    result = await process.train(order, each_of(sent), pieces, follower)
    assert result is not None, "it was not stopped"
    return result


@cache
def uninterrupted() -> TrainingResult:
    return asyncio.run(train(new_process(), Followed()))


async def each_of(values: Sequence[_Each]) -> AsyncIterator[_Each]:
    for value in values:
        yield value
