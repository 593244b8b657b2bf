"""A worker whose engine trains voices that are timbres, and trainings of it in processes of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.kinds.training.bills import TrainingBills
from proxy.features.jobs.kinds.training.trainings import Trainings
from proxy.storage.durable_holds import DurableHold, get
from tests.features.own_voices.test_clips import added
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
RECORDINGS = 3
"""Enough for these tests; `learning.LEAST_RECORDINGS` is set to it."""


@asynccontextmanager
async def trainings_inside(
    folder: Path, url: str = "sqlite", plan: str = "metered", tone: str = "", jobs: str = "", **more: Any
) -> AsyncIterator[Inside]:
    text = CONFIG.format(url=url, tone=tone, jobs=jobs)
    async with inside(folder, text, {}, plan, **more) as server:
        yield server
        # A hold stays until somebody ends it. Steps that stand still are not waited for.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("proxy.features.jobs.core.steps._SETTLES_S", 0.1)
            for row in await server.worker.store.read("SELECT id FROM jobs WHERE state = 'open'"):
                await server.ask("POST", f"/v1/jobs/{row['id']}/cancel")
        await bills_of(server).sweep()


def kind_of(server: Inside) -> Trainings:
    (kind,) = [kind for kind in server.worker.task_kinds if isinstance(kind, Trainings)]
    return kind


def bills_of(server: Inside) -> TrainingBills:
    context = server.worker.open_context.context
    return TrainingBills(context.ledger, JobFiles(context.store, context.vault), context.metrics)


async def voice_to_train(
    server: Inside, uses: tuple[str, ...] = ("speech", "training"), consent: str = ""
) -> str:
    """Return the id of a voice with recordings enough, whose speaker agreed to these uses."""
    given = consent or (await agree(server, uses=list(uses)))["id"]
    voice: str = json_of(await send(server, {"name": "Ana", "consent": given}))["id"]
    for number in range(RECORDINGS - 1):
        await added(server, voice, number)
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
