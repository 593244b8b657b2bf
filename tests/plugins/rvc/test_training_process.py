"""The process that trains a voice of RVC: what it tells, how it is stopped or killed, and goes on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
import psutil
import pytest

from plugins.rvc.plugin import HOSTED
from plugins.rvc.voice_format import FILES
from proxy.config.sections import EngineSection
from proxy.engines.registry import HostedEngineSpec
from proxy.features.jobs.kinds.training.process import (
    TrainingBroken,
    TrainingProcess,
    TrainingResult,
)
from proxy.hosts.memory_reservations import NO_RESERVATIONS
from speech_engine.training import (
    TRAINING_MODULE,
    FilePiece,
    Recording,
    TrainingOrder,
    TrainingProgress,
)
from tests.plugins import neural
from tests.plugins.rvc.kept_host import SOURCE_HZ, kept_host, pieces_of, recording
from tests.plugins.rvc.voices import bring, read_pth
from tests.speech_engine.host.fakes import read

pytestmark = pytest.mark.slow

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

    async def note_progress(self, progress: TrainingProgress) -> None:
        self.told.append(progress)
        if progress.stage == "training" and progress.step == self._step:
            self._act()

    async def take_piece(self, piece: FilePiece) -> None:
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


def trainers() -> list[psutil.Process]:
    found = []
    for each in psutil.Process().children(recursive=True):
        # One that has ended has no words.
        with suppress(psutil.NoSuchProcess):
            found += [each] * (each.is_running() and TRAINING_MODULE in " ".join(each.cmdline()))
    return found


def test_a_voice_is_trained_taken_home_brought_back_and_converts(tmp_path: Path) -> None:
    follower = Followed()
    order = msgspec.structs.replace(ORDER, most_steps=5, forms=("onnx",))
    voice = asyncio.run(train(new_process(), follower, order))
    assert voice.done.curve == uninterrupted().done.curve[:5]
    assert follower.told[0].stage == "preparing"
    assert follower.steps == [1, 2, 3, 4, 5]
    assert len(follower.file("onnx")) > 100_000
    assert not trainers()

    home = {form: BytesIO() for form in ("pth", "index")}
    for form, target in home.items():
        FILES.export(BytesIO(voice.file), len(voice.file), form, target)
    (tmp_path / "model.pth").write_bytes(home["pth"].getvalue())
    returned = bring(read_pth(tmp_path / "model.pth"), home["index"].getvalue())
    assert returned == voice.file

    pcm = recording(2.0)

    async def convert() -> list[bytes]:
        async with kept_host(returned) as kept:
            return pieces_of(await read(kept.open(len(kept.voices) - 1, pcm)), 40_000)

    made = np.frombuffer(b"".join(asyncio.run(convert())), "<i2")
    assert len(made) == 2 * 40_000
    assert made.any()


def test_a_killed_one_goes_on_with_the_same_steps() -> None:
    process = new_process()
    follower = Followed(10, process.kill)
    with pytest.raises(TrainingBroken, match="died"):
        asyncio.run(train(process, follower))
    assert not trainers()
    again = Followed()
    voice = asyncio.run(train(new_process(), again, checkpoint=follower.checkpoint))
    assert again.steps[0] == follower.checkpoint[0].step + 1 > 8
    assert voice.done == uninterrupted().done
    assert voice.file == uninterrupted().file
