"""The far end of remote work: one engine on a rented machine, and its work.

It begins no key twice while it lives. Recordings are in memory alone, and are dropped after their work.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import msgspec

from speech_engine.device import Device
from speech_engine.engine import Engine
from speech_engine.errors import EngineCannot, EngineError, EngineFailed, EngineTimeout, UnusableSample
from speech_engine.host.batch import batch_of
from speech_engine.host.engine_stream import SlotStream
from speech_engine.host.messages import Failed, hello_of
from speech_engine.host.remote_calls import fetch_recording
from speech_engine.host.remote_pieces import FarIntroduction, Packer, RemoteFrame
from speech_engine.host.remote_training import HttpLine, OpenLine, train
from speech_engine.host.sample_cache import SampleCache
from speech_engine.host.slots import Slots
from speech_engine.plugin import Context, Logger, worker_plugin
from speech_engine.runner import REMOTE_VERSION, RemotePiece, RemoteSample, RemoteWork
from speech_engine.training import BeginTraining
from speech_engine.work import Work, job_with_samples, with_deadline

QUEUE = 64
"""The most works that wait for a slot."""
MOST_STORED = 64
"""The number of finished answers that can be fetched again. Servers look every few seconds. An answer
that is not fetched is paid for twice."""

Fetch = Callable[[RemoteSample], Awaitable[bytes]]


class RemoteAnswer:
    """The pieces of one work so far. `busy_s` is None until the work is over. An answer that `is_forgotten`
    has no pieces any more: it was canceled, or many others were finished after it."""

    def __init__(self) -> None:
        self.pieces: list[RemotePiece] = []
        self.is_forgotten = False
        self.began = time.monotonic()
        self.busy_s: float | None = None
        self.more = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        return self.busy_s is not None

    def add(self, piece: RemotePiece) -> None:
        self.pieces.append(piece)
        self.notify()

    def notify(self) -> None:
        self.more.set()
        self.more = asyncio.Event()


class RemoteTrainer(NamedTuple):
    """How trainings are begun here, and the lines to the servers that ask for them."""

    begin: BeginTraining
    line: OpenLine = HttpLine


class RemoteWorker:
    """An engine with the work that was sent to it. `fetch` brings recordings that did not fit into a work.
    Without a `trainer`, it cannot train."""

    def __init__(
        self,
        engine: Engine,
        sample_cache: SampleCache,
        log: Logger,
        fetch: Fetch = fetch_recording,
        trainer: RemoteTrainer | None = None,
    ) -> None:
        self._engine = engine
        self._sample_cache = sample_cache
        self._log = log
        self._fetch = fetch
        self._trainer = trainer
        self._hello = hello_of(engine)
        self._slots = Slots(engine.slots, QUEUE, batch_of(engine))
        self._answers: OrderedDict[str, RemoteAnswer] = OrderedDict()
        # The number of works that use each recording. The last one to end drops it.
        self._sample_users: Counter[str] = Counter()
        self.idle_since = time.monotonic()

    @property
    def running(self) -> int:
        return sum(not answer.is_over for answer in self._answers.values())

    def begin(self, order: RemoteWork) -> RemoteAnswer:
        """Begin the work of an order, unless its key has begun before."""
        answer = self._answers.get(order.key)
        if answer is None:
            over = [each for each in self._answers.values() if each.is_over and each.pieces]
            for each in over[: max(0, len(over) - MOST_STORED + 1)]:
                # Only its pieces: a key that is known never begins again.
                each.is_forgotten = True
                each.pieces.clear()
            answer = self._answers[order.key] = RemoteAnswer()
            answer.task = asyncio.create_task(self._carry_out(order, answer))
        return answer

    def find(self, key: str) -> RemoteAnswer | None:
        return self._answers.get(key)

    async def cancel(self, key: str) -> None:
        """End a work, and forget what it has made."""
        answer = self._answers.get(key)
        if answer is None or answer.task is None:
            return
        answer.is_forgotten = True
        answer.task.cancel()
        await asyncio.wait([answer.task])
        answer.pieces.clear()

    async def pieces(self, order: RemoteWork) -> AsyncIterator[RemotePiece]:
        """Yield the pieces of a work as they come. If this is closed before the end, the work ends."""
        answer, count = self.begin(order), 0
        try:
            while not (answer.is_over and count >= len(answer.pieces)):
                more = answer.more
                if count < len(answer.pieces):
                    yield answer.pieces[count]
                    count += 1
                elif not answer.is_over:
                    await more.wait()
        finally:
            if not answer.is_over:
                await self.cancel(order.key)

    async def close(self) -> None:
        for key in list(self._answers):
            await self.cancel(key)

    async def _carry_out(self, order: RemoteWork, answer: RemoteAnswer) -> None:
        packer = Packer()

        def add(frame: RemoteFrame) -> None:
            if (piece := packer.add(frame)) is not None:
                answer.add(piece)

        try:
            add(FarIntroduction(self._hello))
            try:
                async with asyncio.timeout(order.most_s):
                    await self._train_or_speak(order, add)
            except TimeoutError:
                add(Failed.of(EngineTimeout("The work took longer than it may.")))
            except EngineError as error:
                add(Failed.of(error))
            answer.add(packer.last_piece())
        finally:
            answer.busy_s = time.monotonic() - answer.began
            self.idle_since = time.monotonic()
            answer.notify()

    async def _train_or_speak(self, order: RemoteWork, add: Callable[[RemoteFrame], None]) -> None:
        if order.version != REMOTE_VERSION:
            raise EngineFailed(f"The far end has version {REMOTE_VERSION} of the work, not {order.version}.")
        if order.training is not None:
            if self._trainer is None:
                raise EngineCannot("The far end has no trainer.")
            line = self._trainer.line(order.training.url)
            add(await train(self._trainer.begin, line, order.training.stop_s))
        elif order.work is not None:
            await self._speak(order, with_deadline(order.work, order.most_s), add)

    async def _speak(self, order: RemoteWork, work: Work, add: Callable[[RemoteFrame], None]) -> None:
        digests = {sample.digest for sample in order.samples}
        self._sample_users.update(digests)
        try:
            await self._fetch_samples(order, work)
            stream = SlotStream(self._engine, self._slots, work, self._log)
            try:
                while (event := await stream.next_event()) is not None:
                    add(event)
            finally:
                await stream.close()
        finally:
            self._sample_users.subtract(digests)
            unused = {digest for digest in digests if not self._sample_users[digest]}
            self._sample_cache.drop(unused)
            for digest in unused:
                del self._sample_users[digest]

    async def _fetch_samples(self, order: RemoteWork, work: Work) -> None:
        job = job_with_samples(work)
        if job is None:
            return
        for sample in order.samples:
            pcm = await self._fetch(sample) if sample.url else sample.pcm
            self._sample_cache.put(job.tenant, job.model, sample.digest, pcm)
        if self._sample_cache.missing(job):
            raise UnusableSample("A recording of the voice did not come with the work.")


def as_json(piece: RemotePiece) -> dict[str, object]:
    """Return a piece as values of JSON, which a provider's library writes."""
    return {"number": piece.number, "data": base64.b64encode(piece.data).decode(), "is_last": piece.is_last}


@asynccontextmanager
async def open_remote_worker(
    module: str,
    settings: bytes,
    device: Device,
    log: Logger,
    name: str = "engine",
    fetch: Fetch = fetch_recording,
    trainer: RemoteTrainer | None = None,
) -> AsyncIterator[RemoteWorker]:
    """Create the engine of a worker module with these settings, as JSON, and let it work."""
    settings_type, create = worker_plugin(module)
    sample_cache = SampleCache()
    context = Context(log, samples=sample_cache, device=device)
    async with create(name, msgspec.json.decode(settings, type=settings_type), context) as engine:
        remote_worker = RemoteWorker(engine, sample_cache, log, fetch, trainer)
        try:
            yield remote_worker
        finally:
            await remote_worker.close()
