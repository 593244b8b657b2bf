"""Brings missing recordings to engines: each once, even if many jobs need it at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from functools import partial
from typing import NamedTuple

import structlog
from cachetools import LRUCache

from proxy.engines.local_samples import NoDelivery, SampleOrder
from proxy.engines.sample_source import SampleSource, SampleUnavailable
from speech_engine import EngineFailed, Trained, VoiceNotFound
from speech_engine.host.messages import PutSample
from speech_engine.host.sample_cache import DROPPED
from speech_engine.values import owner_of

_log = structlog.get_logger()

_MOST_ARRIVALS = 4096
PIECE_BYTES = 4 * 1024 * 1024
"""The size of a piece of a file. A message has 64 MiB at most, and a host serves others between pieces."""


class _TransferKey(NamedTuple):
    cache_number: int
    tenant: str
    model: str
    digest: str


class _Transfer:
    """A recording on its way to one process, and the number of jobs that wait for it."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self.task = task
        self.waiting = 0


class SampleDelivery(NoDelivery):
    """Brings recordings from `source` to the processes of one engine.

    `arrivals` counts the deliveries so far. A job names the count at the time when it was sent: a recording
    that arrived since then is not delivered again.
    """

    def __init__(self, source: SampleSource) -> None:
        super().__init__(source)
        self._transfers: dict[_TransferKey, _Transfer] = {}
        self._last_arrivals: LRUCache[_TransferKey, int] = LRUCache(_MOST_ARRIVALS)
        self._tasks: set[asyncio.Task[None]] = set()

    async def bring(self, digests: Collection[str], order: SampleOrder) -> None:
        """Bring these recordings to a process. Jobs that need the same recording wait for one delivery.

        Raises EngineFailed if a recording cannot be had, and what `send_sample` raises. The delivery is
        cancelled with the last job that waits for it.
        """
        for digest in digests:
            key = _TransferKey(order.cache_number, owner_of(order.job), order.job.model, digest)
            if self._last_arrivals.get(key, 0) <= order.arrivals:
                await self._wait_for_transfer(key, order)

    async def end_transfers(self, digests: Collection[str]) -> None:
        in_transfer = {transfer.task for transfer in self._transfers.values()}
        of_digests = {transfer.task for key, transfer in self._transfers.items() if key.digest in digests}
        await self._end(of_digests | (self._tasks - in_transfer))

    async def close(self) -> None:
        await self._end(set(self._tasks))

    async def _end(self, tasks: Collection[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _wait_for_transfer(self, key: _TransferKey, order: SampleOrder) -> None:
        transfer = self._transfers.get(key)
        if transfer is None:
            transfer = self._transfers[key] = _Transfer(asyncio.create_task(self._deliver(key, order)))
            self._tasks.add(transfer.task)
            transfer.task.add_done_callback(partial(self._forget_transfer, key))
        transfer.waiting += 1
        try:
            await asyncio.wait([transfer.task])
        finally:
            transfer.waiting -= 1
            if not transfer.waiting and not transfer.task.done():
                # The next job begins a new delivery, without waiting for the end of this one.
                del self._transfers[key]
                transfer.task.cancel()
        if transfer.task.cancelled():
            raise VoiceNotFound(DROPPED)
        transfer.task.result()

    def _forget_transfer(self, key: _TransferKey, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        transfer = self._transfers.get(key)
        if transfer is not None and transfer.task is task:
            del self._transfers[key]

    async def _deliver(self, key: _TransferKey, order: SampleOrder) -> None:
        try:
            if isinstance(order.job.voice, Trained):
                await self._send_file(key, order)
            else:
                pcm = await self._source.pcm(key.tenant, key.digest, order.info)
                await order.send_sample(_message(key, order, pcm))
        except SampleUnavailable as error:
            _log.warning("sample.read.failed", model=key.model, reason=str(error))
            raise EngineFailed("The recording of the voice cannot be had.") from None
        self.arrivals += 1
        self._last_arrivals[key] = self.arrivals

    async def _send_file(self, key: _TransferKey, order: SampleOrder) -> None:
        """Send the file of a trained voice in pieces, with one of them in memory."""
        reader = await self._source.model(key.tenant, key.digest)
        sent_bytes, piece = 0, b""
        while sent_bytes < reader.size:
            part = await reader.next_part()
            piece += part
            if not part:
                raise SampleUnavailable("the file of the voice is not whole")
            if len(piece) >= PIECE_BYTES or sent_bytes + len(piece) >= reader.size:
                await order.send_sample(_message(key, order, piece, sent_bytes, reader.size))
                sent_bytes, piece = sent_bytes + len(piece), b""


def _message(key: _TransferKey, order: SampleOrder, data: bytes, begin: int = 0, size: int = 0) -> PutSample:
    return PutSample(key.tenant, key.model, key.digest, order.info.sample_hz, data, begin, size)
