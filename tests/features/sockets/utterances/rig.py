"""Utterances in a worker of this process, and listeners that note what they get."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from proxy.errors import REQUEST_FAULT_CODES
from proxy.features.admin.verify import verify
from proxy.features.samples.worker import SampleWorker
from proxy.features.sockets.utterances.utterance import Utterance
from proxy.features.sockets.utterances.utterances import Utterances
from proxy.features.sockets.utterances.values import (
    Interrupted,
    PieceEnd,
    PieceStart,
    PlacedWord,
    UtteranceEnd,
    UtteranceSettings,
    UtteranceUsage,
)
from proxy.http.replies import encode_json
from proxy.speech.speech_request import Defaults, parse_speech
from proxy.storage import entries
from proxy.storage.usage import UsageRow
from tests.proxy.api.inside import Inside, inside

RATE_HZ = 24_000
PAIR = """
[engines.one]
[engines.two]
[models]
pair = ["one/m", "two/m"]
[voices.ana]
one = "v"
two = "v"
"""


class Ear:
    """A listener. It is slow if `waits` is set, and lost when `leave` is called."""

    def __init__(self) -> None:
        self.starts: list[PieceStart] = []
        self.ends: list[PieceEnd] = []
        self.words: list[PlacedWord] = []
        self.data = bytearray()
        self.got = asyncio.Event()
        self.has_ended = asyncio.Event()
        self.times_s: list[float] = []
        self.waits: Callable[[], Awaitable[object]] | None = None
        self.share: float | None = None
        self._task: asyncio.Task[Any] | None = None

    async def piece_began(self, start: PieceStart) -> None:
        await self._open()
        self.starts.append(start)

    async def send_sound(self, data: bytes, words: Sequence[PlacedWord]) -> None:
        await self._open()
        self.data += data
        self.words += words
        self.times_s.append(asyncio.get_running_loop().time())
        self.got.set()
        if self.waits is not None:
            await self.waits()
            await self._open()

    async def piece_ended(self, end: PieceEnd) -> None:
        await self._open()
        self.ends.append(end)
        self.has_ended.set()

    def count_written(self) -> int:
        return len(self.data)

    def share_sent(self, bytes_before: int) -> float | None:
        return self.share

    async def _open(self) -> None:
        if self.share is not None:
            await asyncio.Event().wait()

    async def has_sound(self, seconds: float) -> None:
        """Wait until it has so much PCM."""
        while len(self.data) < seconds * RATE_HZ * 2:
            self.got.clear()
            await self.got.wait()

    @property
    def seconds(self) -> float:
        return len(self.data) / 2 / RATE_HZ


class Spoken:
    """An utterance that runs in a task, as a session has it."""

    def __init__(self, utterance: Utterance, ear: Ear, settings: UtteranceSettings) -> None:
        self.utterance = utterance
        self.settings = settings
        self.ear = ear
        self.task: asyncio.Task[UtteranceEnd] = asyncio.create_task(utterance.run())

    async def whole(self) -> UtteranceEnd:
        self.utterance.end()
        return await self.task

    async def interrupt(self, played_ms: int | None = None) -> Interrupted:
        told = await self.utterance.interrupt(played_ms)
        await self.task
        return told

    async def lose(self, share: float) -> None:
        """The client is lost, and got this share of the last piece."""
        self.ear.share = share
        self.task.cancel()
        await asyncio.wait((self.task,))


class Rig:
    def __init__(self, server: Inside) -> None:
        self.server = server
        worker = server.worker
        speaking = worker.open_features.context.find(SampleWorker)._speaking
        assert speaking is not None
        self.utterances = Utterances(speaking, worker.ledger, worker._admin_tools.callers, worker.engines)
        self._number = 0

    async def key_id(self) -> str:
        return (await self.server.worker._admin_tools.callers.identify(self.server.key)).key

    async def begin(
        self, text: str = "", *, ear: Ear | None = None, splits: bool = True, **more: Any
    ) -> Spoken:
        self._number += 1
        body = {"model": "pair", "voice": "ana", "response_format": "pcm", **more, "input": "."}
        request = parse_speech(encode_json(body), Defaults())
        settings = UtteranceSettings.of(request, splits=splits)
        ear = ear or Ear()
        key = await self.key_id()
        utterance = await self.utterances.begin_utterance(f"req_test.{self._number}", key, settings, ear)
        utterance.add(text)
        return Spoken(utterance, ear, settings)

    async def rows(self, of: str = "") -> list[UsageRow]:
        found = [row for row in await self.server.usage() if row.id.startswith(of)]
        return sorted(found, key=lambda row: row.id)

    async def check(self, told: UtteranceEnd | Interrupted, of: str = "") -> list[UsageRow]:
        """Check that the rows and the ledger have what was told, and that nothing is held. What was spoken
        before a fault of the request is charged."""
        rows, worker = await self.rows(of), self.server.worker
        counted = [row for row in rows if row.outcome != "failed" or row.error in REQUEST_FAULT_CODES]
        usage = UtteranceUsage(
            sum(row.characters for row in counted),
            sum(row.samples / row.sample_rate_hz for row in counted),
        )
        assert told.usage.characters == usage.characters
        assert abs(told.usage.seconds - usage.seconds) < 1e-6
        for row in rows:
            paid = await entries.read_spending(worker.store, row.id)
            assert -sum(entry.amount for entry in paid) == row.credits
        assert (await verify(worker.store)).is_clean
        assert " 0 live" in repr(worker.ledger)
        return rows


@asynccontextmanager
async def rig(folder: Path, text: str = PAIR, **options: Any) -> AsyncIterator[Rig]:
    async with inside(folder, text, **options) as server:
        yield Rig(server)


__all__ = ["Ear", "Rig", "Spoken", "rig"]
