"""Helpers: a worker with a voice that may be erased, and all that it has of that voice."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

from proxy.app import Worker
from proxy.catalogue.voice_records import VoiceRecord
from proxy.features.erasure.erasure import Erasure
from proxy.storage.tombstones import Tombstone
from tests.features.own_voices.saving import add_cast
from tests.proxy.api.inside import Inside, inside
from tests.proxy.api.scripted import Scripted

CONFIG = """
[server]
idempotency_mb = 16
[cache]
on = true
[engines.one]
[models]
"gpt-4o-mini-tts" = ["one/m"]
[voices.ana]
one = "v"
[plans.small]
allowance = 1000000
[plans.small.prices]
speech = { credits = 60, per = "minute" }
"""
NAME = "the name of a person"


def erasure_of(worker: Worker) -> Erasure:
    assert isinstance(worker.erasing, Erasure)
    return worker.erasing


@asynccontextmanager
async def speaking(folder: Path, engine: Scripted, config: str = CONFIG) -> AsyncIterator[Inside]:
    async with inside(folder, config, {"one": engine}, plan="small") as server:
        yield server


async def add_voice(server: Inside, name: str = NAME) -> VoiceRecord:
    """Save a voice of the account. A cast is one that anybody can speak with at once."""
    record = await add_cast(server.worker.store, server.account.id, name, {"Ana": "ana"}, description=name)
    assert record is not None
    erasure_of(server.worker).derived_data.memories[0].forget_voice(record.id, ())
    return record


def body(voice: str, **more: object) -> dict[str, object]:
    """A text of its own for each voice: casts of the same voices share their clips."""
    text = f"Ana: Hello from {voice}."
    return {"model": "gpt-4o-mini-tts", "voice": voice, "input": text, "response_format": "pcm", **more}


class Told:
    """Something in memory that says when it was told to forget a voice."""

    def __init__(self, server: Inside) -> None:
        self.was_told = asyncio.Event()
        things = erasure_of(server.worker).derived_data
        erasure_of(server.worker).derived_data = things._replace(memories=(*things.memories, self))

    def forget_voice(self, voice: str, digests: Collection[str]) -> None:
        del voice, digests
        self.was_told.set()


async def erase(server: Inside, record: VoiceRecord) -> Tombstone:
    return await erasure_of(server.worker).erase_voice(record)


def answers(folder: Path) -> list[Path]:
    return [path for path in (folder / "data" / "idempotency").glob("*") if path.is_file()]


def sound(folder: Path) -> list[Path]:
    """All files of the audio cache, locks and halves among them."""
    return [path for path in (folder / "data" / "cache").rglob("*") if path.is_file()]


async def indexed(server: Inside, voice: str) -> int:
    """How many rows the index of the cache has of a voice."""
    rows = await server.worker.store.read(
        "SELECT count(*) AS number FROM clips WHERE voice = :voice", {"voice": voice}
    )
    return int(rows[0]["number"])


async def stored(folder: Path, number: int) -> None:
    """Wait until the cache has so many clips, and nothing half: they are kept behind their answers."""
    async with asyncio.timeout(5):
        is_stored = False
        while not is_stored:
            await asyncio.sleep(0.01)
            names = sound(folder)
            is_stored = len(names) == number and not any(path.suffix for path in names)
