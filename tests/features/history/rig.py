"""Workers that keep what is asked for, and what is kept of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from proxy.features.history.records import HistoryRow, HistoryStore
from proxy.features.history.retention import HistoryRetention, stored_days
from proxy.features.history.writing import HistoryWriter, SoundBuffer
from proxy.file_store.vault import Vault
from proxy.storage.rows import new_id
from tests.proxy.api.inside import Inside, inside
from tests.proxy.api.scripted import Scripted
from tests.replies import json_of
from tests.waiting import soon

CONFIG = """
[server]
default_model = "tone"
idempotency_mb = 16
[storage]
url = "{url}"
{section}
[cache]
megabytes = 16
[engines.tone]
hosted = false
[engines.breaks]
plugin = "tone"
hosted = false
fail = "EngineFailed"
fail_at_s = 0.5
{one}
[models]
tone = ["tone/standard"]
tts-1 = ["tone/standard"]
breaks = ["breaks/standard"]
[voices.alloy]
tone = "tone"
breaks = "tone"
[plans.metered]
allowance = 1000000
prices.speech = {{ credits = 1, per = "second" }}
[plans.longer]
history_days = 60
[plans.none]
history_days = 0
"""
ONE = """
[engines.one]
[voices.one]
one = "v"
"""


@asynccontextmanager
async def keeping(
    folder: Path,
    url: str = "sqlite",
    plan: str = "metered",
    section: str = "",
    one: Scripted | None = None,
    **more: Any,
) -> AsyncIterator[Inside]:
    """Open a worker. `section` is its [history]; the voice `one` is of a scripted engine."""
    text = CONFIG.format(url=url, section=section, one="" if one is None else ONE)
    async with inside(folder, text, {} if one is None else {"one": one}, plan, **more) as server:
        yield server


async def speak(server: Inside, text: str = "Hello there.", **more: Any) -> httpx2.Response:
    """Ask for speech that is kept."""
    answer = await server.speech(text, history=True, **more)
    assert answer.is_success, answer.text
    return answer


def id_of(answer: httpx2.Response) -> str:
    return str(answer.headers["x-request-id"])


async def entry(server: Inside, id_: str) -> dict[str, Any]:
    """Return an entry once it is written."""

    async def found() -> dict[str, Any] | None:
        answer = await server.ask("GET", f"/v1/history/{id_}")
        return json_of(answer) if answer.is_success else None

    shown: dict[str, Any] = await soon(found)
    return shown


async def spoken(server: Inside, text: str = "Hello there.", **more: Any) -> dict[str, Any]:
    """Speak, and return the entry."""
    return await entry(server, id_of(await speak(server, text, **more)))


async def listed(server: Inside, query: str = "", key: str | None = None) -> dict[str, Any]:
    return json_of(await server.ask("GET", f"/v1/history{query}", key=key))


async def ids(server: Inside, query: str = "") -> list[str]:
    return [each["id"] for each in (await listed(server, query))["data"]]


async def content(server: Inside, id_: str, **headers: str) -> httpx2.Response:
    return await server.ask("GET", f"/v1/history/{id_}/content", **headers)


async def blobs(server: Inside) -> int:
    (row,) = await server.worker.store.read("SELECT count(*) AS number FROM blobs")
    return int(row["number"])


def objects(folder: Path) -> int:
    """Count the sealed files on the disk."""
    return sum(path.is_file() for path in (folder / "data" / "voices").glob("*/*"))


def store_of(server: Inside) -> HistoryStore:
    context = server.worker.open_features.context
    return HistoryStore(context.store, context.find(Vault))


def retention_of(server: Inside) -> HistoryRetention:
    kernel = server.worker.kernel
    return HistoryRetention(store_of(server), kernel.metrics, stored_days(kernel.config))


def row_of(server: Inside, **more: Any) -> HistoryRow:
    """Return an entry of this account that is not written yet."""
    values: dict[str, Any] = {
        "id": new_id("req"),
        "account": server.account.id,
        "operation": "speech",
        "model": "tone/standard",
        "voice": "alloy",
        "language": "en",
        "format": "opus",
        "characters": 5,
        "seconds": 1.0,
        "tag": "",
        "voices": "",
    }
    return HistoryRow(**{**values, **more})


def sound_of(writer: HistoryWriter, data: bytes) -> SoundBuffer:
    buffer = SoundBuffer(writer.room)
    buffer.add(data)
    return buffer
