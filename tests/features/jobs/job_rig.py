"""A worker whose engine says in tones what it was asked to say, and jobs of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

from proxy.features.jobs.core.steps import Steps
from speech_engine import Engine, Finished, Started
from tests.proxy.api.inside import Inside, inside
from tests.proxy.api.scripted import Halt, Scripted, sound
from tests.replies import json_of
from tests.tones import words
from tests.waiting import soon

CONFIG = """
[server]
default_model = "tone"
[storage]
url = "{url}"
[webhooks]
on = true
[engines.tone]
hosted = false
[models]
tone = ["tone/standard"]
tts-1 = ["tone/standard"]
{one}
[voices.alloy]
tone = "tone"
[plans.metered]
allowance = 1000000
streams = 1
prices.speech = {{ credits = 1, per = "character" }}
[plans.short]
allowance = 30
prices.speech = {{ credits = 1, per = "character" }}
[plans.none]
job_characters = 0
[plans.few]
job_characters = 50
max_characters = 20
"""
ONE = """
[engines.one]
[voices.one]
one = "v"
[voices.both]
one = "v"
tone = "tone"
"""
MODELS = 'one = ["one/m"]\nboth = ["tone/standard", "one/m"]'
RATE_HZ = 24_000
ENDS = frozenset({"done", "failed", "canceled", "expired"})


class Halting(Scripted):
    """Its job of this number stops in its middle, until it may go on."""

    def __init__(self, at: int = 1, **model: object) -> None:
        halt = Halt(at)
        super().__init__(Started(RATE_HZ), *sound(0.1), halt, *sound(0.1), Finished(), **model)
        self.is_there, self.goes_on = halt.is_there, halt.goes_on


def text_of(steps: int) -> str:
    """Return a text of so many steps, each of which says one word."""
    return "\n\n".join(f"Word {number}." + " " * (1990 - len(str(number))) for number in range(steps))


def words_of(steps: int) -> list[str]:
    """Return what is heard of such a text."""
    return [f"Word {number}." for number in range(steps)]


@asynccontextmanager
async def jobs_inside(
    folder: Path,
    url: str = "sqlite",
    plan: str = "metered",
    one: Engine | None = None,
    *,
    cache: bool = False,
    ears: Engine | None = None,
    **more: Any,
) -> AsyncIterator[Inside]:
    """Open a worker. The model and the voice `one` are of a scripted engine, and `ears` hear."""
    text = CONFIG.format(url=url, one="" if one is None else MODELS)
    if cache:
        text += "[cache]\non = true\n"
    text += ONE if one is not None else ""
    text += "[engines.ears]\nhosted = false\n" if ears is not None else ""
    engines = {name: each for name, each in (("one", one), ("ears", ears)) if each is not None}
    async with inside(folder, text, engines, plan, **more) as server:
        yield server


def kind_of(server: Inside) -> Steps:
    """Return the kind of the steps of jobs in a worker."""
    (kind,) = [kind for kind in server.worker.task_kinds if isinstance(kind, Steps)]
    return kind


async def ask_job(server: Inside, text: str, **more: Any) -> httpx2.Response:
    headers = more.pop("headers", {})
    body = {"model": "tone", "voice": "alloy", "input": text, "response_format": "pcm", **more}
    return await server.ask("POST", "/v1/jobs", body=body, **headers)


async def new_job(server: Inside, text: str, **more: Any) -> dict[str, Any]:
    return json_of(await ask_job(server, text, **more), 202)


CHAPTERS = [
    {"title": "The first", "input": "One."},
    {"title": "The first", "input": f"Two.{' ' * 1990}\n\nThree."},
    {"title": "บทที่ 3", "input": "Four."},
]
"""Four steps, as no piece is in two chapters."""


async def new_chapters(server: Inside, **more: Any) -> dict[str, Any]:
    body = {"model": "tone", "voice": "alloy", "chapters": CHAPTERS, "response_format": "pcm", **more}
    return json_of(await server.ask("POST", "/v1/jobs", body=body), 202)


async def job(server: Inside, id_: str) -> dict[str, Any]:
    return json_of(await server.ask("GET", f"/v1/jobs/{id_}"))


async def job_with(server: Inside, id_: str, *statuses: str) -> dict[str, Any]:
    """Wait until a job has one of these statuses."""

    async def has_ended() -> bool:
        rows = await server.worker.store.read("SELECT state FROM jobs WHERE id = :id", {"id": id_})
        return [row["state"] for row in rows] != ["open"]

    if ENDS.issuperset(statuses):
        # A request takes ten times as long as this look at the row.
        await soon(has_ended)
    shown: dict[str, Any] = await soon(lambda: job(server, id_), lambda shown: shown["status"] in statuses)
    return shown


async def content(server: Inside, id_: str, **headers: str) -> httpx2.Response:
    return await server.ask("GET", f"/v1/jobs/{id_}/content", **headers)


def said(pcm: bytes) -> list[str] | None:
    return words(np.frombuffer(pcm, np.int16), RATE_HZ)
