"""The process that trains a voice of RVC: what it tells, how it is stopped or killed, and goes on."""

from __future__ import annotations

import asyncio
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest

from plugins.rvc.voice_format import FILES
from proxy.features.jobs.kinds.training.process import (
    TrainingBroken,
)
from speech_engine.training import (
    TRAINING_MODULE,
)
from tests.plugins.rvc.kept_host import kept_host, pieces_of, recording
from tests.plugins.rvc.training_processes import (
    ORDER,
    Followed,
    new_process,
    train,
    uninterrupted,
)
from tests.plugins.rvc.voices import bring, read_pth
from tests.speech_engine.host.fakes import read


def trainers() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [each for each in children if each.is_running() and TRAINING_MODULE in " ".join(each.cmdline())]


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
