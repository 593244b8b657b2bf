"""Recordings for an engine that runs in the server's process: they are loaded before the engine's work."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection
from typing import NamedTuple

from proxy.engines.sample_source import SampleSource
from proxy.helpers.outside import outside
from speech_engine import EngineFailed, Event, ModelInfo, SpeechJob, VoiceNotFound, Work
from speech_engine.host.engine_stream import EngineStream
from speech_engine.host.messages import PutSample
from speech_engine.host.sample_cache import DROPPED, SampleCache, SampleLoan
from speech_engine.work import with_deadline

MOST_TRIES = 3
"""How many times a job loads its recordings if other jobs evict them before it can borrow them."""

OpenStream = Callable[[Work], EngineStream]
SendSample = Callable[[PutSample], Awaitable[None]]
"""Puts a recording into one process. It raises EngineError, or an error that its caller handles."""


class SampleOrder(NamedTuple):
    """A job that needs recordings in one cache: that of the process `cache_number`, or 0 in this process.
    `arrivals` is the count of deliveries when it was sent."""

    cache_number: int
    send_sample: SendSample
    job: SpeechJob
    info: ModelInfo
    arrivals: int


class NoDelivery:
    """The base type of deliveries of recordings, which has none: see `proxy/hosts/sample_delivery.py`."""

    def __init__(self, source: SampleSource) -> None:
        self.arrivals = 0
        self._source = source

    async def bring(self, digests: Collection[str], order: SampleOrder) -> None:
        raise EngineFailed("This server brings no recordings to its engines.")

    async def end_transfers(self, digests: Collection[str]) -> None:
        """End the deliveries of these recordings. When this returns, none of them can arrive any more."""

    async def close(self) -> None: ...


class LocalSamples:
    """The recordings of one engine in this worker. The engine reads them from `sample_cache`."""

    def __init__(self, source: SampleSource) -> None:
        self.sample_cache = SampleCache()
        self._delivery = outside("proxy.hosts.sample_delivery", "SampleDelivery", NoDelivery)(source)

    def open(self, work: Work, job: SpeechJob, info: ModelInfo | None, open_: OpenStream) -> SampledStream:
        """Return the stream of work that needs recordings. Its first event loads them."""
        return SampledStream(self, work, job, info, open_)

    async def borrow(self, job: SpeechJob, info: ModelInfo) -> SampleLoan:
        """Load the missing recordings of a job, and borrow all its recordings. Raises EngineError."""
        for _ in range(MOST_TRIES):
            missing = self.sample_cache.missing(job)
            if not missing:
                return self.sample_cache.lend(job, lambda: None)
            order = SampleOrder(0, self._keep_sample, job, info, self._delivery.arrivals)
            await self._delivery.bring(missing, order)
        raise EngineFailed("The recordings of the voice do not stay.")

    async def drop(self, digests: Collection[str]) -> None:
        """Forget recordings. The jobs that use them fail at their next event."""
        await self._delivery.end_transfers(digests)
        self.sample_cache.drop(digests)

    async def close(self) -> None:
        await self._delivery.close()

    async def _keep_sample(self, sample: PutSample) -> None:
        self.sample_cache.receive(sample)


class SampledStream:
    """A stream that borrows its recordings, then opens the engine's stream. It returns them at its end."""

    def __init__(
        self, samples: LocalSamples, work: Work, job: SpeechJob, info: ModelInfo | None, open_: OpenStream
    ) -> None:
        self._samples = samples
        self._work = work
        self._job = job
        self._info = info
        self._open = open_
        self._loan: SampleLoan | None = None
        self._stream: EngineStream | None = None
        self._is_over = False

    async def next_event(self) -> Event | None:
        if self._is_over:
            return None
        try:
            if self._stream is None:
                self._stream = await self._begin()
            if self._loan is not None and self._loan.is_dropped:
                await self._stream.close()
                raise VoiceNotFound(DROPPED)
            event = await self._stream.next_event()
        except BaseException:
            self._end()
            raise
        if event is None:
            self._end()
        return event

    async def close(self) -> None:
        stream, self._stream = self._stream, None
        try:
            if stream is not None:
                await stream.close()
        finally:
            self._end()

    async def _begin(self) -> EngineStream:
        if self._info is None:
            raise EngineFailed("The engine has no such model.")
        began = time.monotonic()
        self._loan = await self._samples.borrow(self._job, self._info)
        left_s = self._work.deadline_s - (time.monotonic() - began)
        return self._open(with_deadline(self._work, max(0.0, left_s)))

    def _end(self) -> None:
        self._is_over = True
        if self._loan is not None:
            self._loan.end()


def find_model(models: tuple[ModelInfo, ...], id_: str) -> ModelInfo | None:
    return next((info for info in models if info.id == id_), None)
