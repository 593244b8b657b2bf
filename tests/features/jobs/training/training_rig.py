"""A worker whose engine trains voices that are timbres, and trainings of it in processes of their own."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import msgspec
import pytest

from plugins.tone.plugin import ToneSettings
from plugins.tone.trainer import ToneTrainer
from proxy.audio.formats import wav_header
from proxy.features.jobs.core.encoded_records import EncodedBlob
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.kinds.training import following, trainings
from proxy.features.jobs.kinds.training.bills import TrainingBills
from proxy.features.jobs.kinds.training.process import TrainingFollower, TrainingProcess, TrainingResult
from proxy.features.jobs.kinds.training.training_input import TrainingFields
from proxy.features.jobs.kinds.training.trainings import Trainings
from proxy.file_store.vault import Vault
from proxy.storage.durable_holds import DurableHold, get
from speech_engine import training
from speech_engine.host import training as host_training
from speech_engine.host.pipe_messages import Drain
from speech_engine.host.plugin_messages import PluginMessage
from tests import speech_clips
from tests.features.own_voices.test_clips import add
from tests.proxy.api.inside import Inside, inside
from tests.proxy.api.owning import agree, send
from tests.replies import json_of

CONFIG = """
[server]
default_model = "tone"
[storage]
url = "{url}"
[webhooks]
on = true
[jobs]
{jobs}
[engines.tone]
hosted = false
{tone}
[models]
tone = ["tone/standard"]
[voices.alloy]
tone = "tone"
[plans.metered]
allowance = 1000
prices.speech = {{ credits = 1, per = "character" }}
prices.training = {{ credits = 400, per = "job" }}
[plans.unpriced]
allowance = 1000
prices.speech = {{ credits = 1, per = "character" }}
[plans.none]
job_characters = 0
"""
PRICE = 400_000_000
RECORDINGS = 2
"""Enough for these tests; `training_input.LEAST_RECORDINGS` is set to it."""
_RECORDING_S = 4


@asynccontextmanager
async def trainings_inside(
    folder: Path, url: str = "sqlite", plan: str = "metered", tone: str = "", jobs: str = "", **more: Any
) -> AsyncIterator[Inside]:
    text = CONFIG.format(url=url, tone=tone, jobs=jobs)
    async with inside(folder, text, {}, plan, **more) as server:
        yield server
        # A hold stays until somebody ends it. Steps that stand still are not waited for.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("proxy.features.jobs.core.steps._CANCEL_WAIT_S", 0.1)
            for row in await server.worker.store.read("SELECT id FROM jobs WHERE state = 'open'"):
                await server.ask("POST", f"/v1/jobs/{row['id']}/cancel")
        await bills_of(server).sweep()


async def train_here(
    process: TrainingProcess,
    order: training.TrainingOrder,
    recordings: AsyncIterator[training.Recording],
    checkpoint: AsyncIterator[training.FilePiece] | None,
    follower: TrainingFollower,
) -> TrainingResult | None:
    """Train as `TrainingProcess.train` does, but in a thread of this process, which starts much sooner."""
    loop, messages = asyncio.get_running_loop(), asyncio.Queue[PluginMessage]()
    pipe: Any = SimpleNamespace(send=partial(loop.call_soon_threadsafe, cast(Any, messages.put_nowait)))
    begin = training.BeginTraining(name="tone", module="plugins.tone.trainer", settings=b"{}")
    here = host_training._Process(pipe, begin)
    async for recording in recordings:
        for part in training.recording_pieces(recording):
            here._on_message(part)
    assert checkpoint is None
    here._on_message(training.Train(order))
    settings = msgspec.json.encode(process.engine.section.settings)
    trainer: Any = ToneTrainer(msgspec.json.decode(settings, type=ToneSettings))
    answering = loop.run_in_executor(None, here._answer, trainer)

    async def told() -> AsyncIterator[PluginMessage]:
        while True:
            yield await messages.get()

    try:
        return await process._read_result(told(), follower)
    finally:
        here._on_message(Drain(0.0))
        await asyncio.shield(asyncio.wait({answering}))


def early_order(fields: TrainingFields) -> training.TrainingOrder:
    return training.TrainingOrder(seed=fields.seed, most_steps=fields.most_steps, checkpoint_every=50)


@pytest.fixture
def early_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint is due every fifty steps, and not every 500."""
    monkeypatch.setattr(TrainingFields, "order", property(early_order))


def resumed_bytes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the sizes of the checkpoints that trainings go on from, as they are read."""
    resumed: list[int] = []

    def read_pieces(
        files: JobFiles, rows: list[EncodedBlob], role: training.FileRole
    ) -> AsyncGenerator[training.FilePiece, None]:
        resumed.append(sum(row.bytes for row in rows))
        return following.read_pieces(files, rows, role)

    monkeypatch.setattr(trainings, "read_pieces", read_pieces)
    return resumed


def kind_of(server: Inside) -> Trainings:
    (kind,) = [kind for kind in server.worker.task_kinds if isinstance(kind, Trainings)]
    return kind


def bills_of(server: Inside) -> TrainingBills:
    context = server.worker.open_features.context
    return TrainingBills(context.ledger, JobFiles(context.store, context.find(Vault)), context.metrics)


def recording(number: int) -> bytes:
    """Return another short recording: to level one for a training takes as long as it is."""
    samples = _RECORDING_S * 24_000 + number
    return wav_header(samples) + speech_clips.wav()[len(wav_header(0)) :][: 2 * samples]


async def voice_to_train(
    server: Inside,
    uses: tuple[str, ...] = ("speech", "training"),
    consent: str = "",
    recordings: int = RECORDINGS,
) -> str:
    """Return the id of a voice with so many recordings, whose speaker agreed to these uses."""
    given = consent or (await agree(server, uses=list(uses)))["id"]
    voice: str = json_of(await send(server, {"name": "Ana", "consent": given}, recording(0)))["id"]
    for number in range(1, recordings):
        json_of(await add(server, voice, recording(number)), 201)
    return voice


async def ask_training(server: Inside, voice: str, **more: Any) -> httpx2.Response:
    headers = more.pop("headers", {})
    body = {"kind": "training", "voice": voice, "model": "tone", "steps": 20, **more}
    return await server.ask("POST", "/v1/jobs", body=body, **headers)


async def new_training(server: Inside, voice: str, **more: Any) -> str:
    id_: str = json_of(await ask_training(server, voice, **more), 202)["id"]
    return id_


async def hold_of(server: Inside, id_: str) -> DurableHold | None:
    rows = await server.worker.store.read("SELECT hold FROM trainings WHERE id = :id", {"id": id_})
    return await get(server.worker.store, rows[0]["hold"]) if rows else None
