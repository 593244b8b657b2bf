"""Helpers: requests with an Idempotency-Key to a worker inside the test's process, and what it keeps."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

from tests.proxy.api.inside import Inside, inside
from tests.proxy.api.scripted import Scripted

CONFIG = """
[server]
idempotency_mb = 1
[engines.one]
[models]
"gpt-4o-mini-tts" = ["one/m"]
[voices.ana]
one = "v"
[plans.small]
allowance = 1000
rpm = 3
[plans.small.prices]
speech = { credits = 1, per = "character" }
"""
KEY = "order-77-of-ada"
BODY = {"model": "gpt-4o-mini-tts", "voice": "ana", "input": "Hello there.", "response_format": "pcm"}


async def ask(
    server: Inside, key: str | None = KEY, *, secret: str | None = None, **more: object
) -> httpx2.Response:
    headers = {} if key is None else {"idempotency-key": key}
    return await server.ask("POST", "/v1/audio/speech", key=secret, body={**BODY, **more}, **headers)


@asynccontextmanager
async def speaking(folder: Path, engine: Scripted, config: str = CONFIG) -> AsyncIterator[Inside]:
    async with inside(folder, config, {"one": engine}) as server:
        yield server


def kept(folder: Path) -> list[Path]:
    """List all files in the folder of answers, the oldest first."""
    return sorted((folder / "data" / "idempotency").glob("*"), key=lambda path: path.stat().st_mtime_ns)


def is_replay(answer: httpx2.Response) -> bool:
    assert answer.status_code == 200, answer.text
    return answer.headers.get("x-voxgate-replayed") == "true"
