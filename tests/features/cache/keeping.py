"""Helpers: requests to a worker inside the test's process, and the files that its cache keeps."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

from proxy.app import open_worker
from proxy.feature_list import load_config
from proxy.features.cache.cache import Cache
from proxy.storage import accounts, api_key, key_records
from proxy.storage.key_records import NewKeyRecord
from tests.proxy.api.inside import Inside, inside, with_engines
from tests.proxy.api.scripted import Scripted
from tests.waiting import until

CONFIG = """
[engines.one]
[engines.two]
[models]
"gpt-4o-mini-tts" = ["one/m", "two/m"]
[voices.ana]
one = "v"
two = "v"
[voices.ben]
one = "v"
[cache]
megabytes = 1
"""
BODY = {"model": "gpt-4o-mini-tts", "voice": "ana", "input": "Hello there.", "response_format": "pcm"}


async def ask(server: Inside, *, secret: str | None = None, **more: object) -> httpx2.Response:
    """Send a request, with `cache: true` unless `more` says something else."""
    body = {**BODY, "cache": True, **more}
    answer = await server.ask("POST", "/v1/audio/speech", key=secret, body=body)
    assert answer.status_code == 200, answer.text
    return answer


def cache_of(server: Inside) -> Cache:
    source = server.worker.open_features.context.speech_cache
    assert isinstance(source, Cache)
    return source


def found(answer: httpx2.Response) -> str:
    return str(answer.headers["x-voxgate-cache"])


@asynccontextmanager
async def speaking(
    folder: Path, one: Scripted, two: Scripted | None = None, text: str = CONFIG, plan: str = "unlimited"
) -> AsyncIterator[Inside]:
    async with inside(folder, text, {"one": one, "two": two or Scripted()}, plan) as server:
        yield server


@asynccontextmanager
async def reopened(folder: Path, before: Inside, one: Scripted) -> AsyncIterator[Inside]:
    """Open another worker over the same folder, with the same keys."""
    registry = with_engines({"one": one, "two": Scripted()})
    async with open_worker(load_config(folder / "config.toml", {}), registry) as worker:
        yield before._replace(worker=worker)


async def other_account(server: Inside, name: str = "bob", plan: str = "unlimited") -> str:
    """Create an account and return a key of it."""
    account = await accounts.create(server.worker.store, name=name, plan=plan)
    secret = api_key.mint()
    await key_records.create(server.worker.store, secret, NewKeyRecord(account=account.id, role="speech"))
    return secret.reveal()


def revise(server: Inside, folder: Path, text: str) -> None:
    """Give the worker another configuration, as a reload does."""
    file = folder / "config.toml"
    file.write_text(text)
    server.worker.revise(load_config(file, {}))


def stored(folder: Path) -> list[Path]:
    """Every file of the cache."""
    return sorted((folder / "data" / "cache").glob("*"))


async def landed(folder: Path) -> None:
    """Return when no file is being made."""
    await asyncio.to_thread(until, lambda: not [path for path in stored(folder) if path.suffix])


async def kept(server: Inside, folder: Path) -> Path:
    """Ask once, and return the file of the answer."""
    await ask(server)
    await landed(folder)
    (path,) = stored(folder)
    return path


async def all_landed(server: Inside) -> None:
    """Return when no clip is left to store: until then an equal request waits for it, and hits."""
    while tasks := set(cache_of(server)._landing_tasks):
        await asyncio.wait(tasks)


async def turns(number: int = 50) -> None:
    """Let every task that can go on do so."""
    for _ in range(number):
        await asyncio.sleep(0)
