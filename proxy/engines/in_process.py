"""A local engine that runs in the server itself, for measurements. It has a host's slots, but nothing
protects the server from its crash."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Collection

import structlog

from proxy.engines.hello_engine import HelloEngine
from proxy.engines.local_samples import LocalSamples, find_model
from proxy.engines.sample_source import NO_SOURCE
from speech_engine import Engine, Work
from speech_engine.host.batch import batch_of
from speech_engine.host.engine_stream import EngineStream, OnDispatch, SlotStream, ignore_dispatch
from speech_engine.host.messages import HealthReport, hello_of
from speech_engine.host.slots import Slots
from speech_engine.work import job_with_samples

_log = structlog.get_logger()


class InProcessEngine(HelloEngine):
    """An engine in the server, behind the same slots and queue as in a host."""

    on_models_changed: Callable[[], None] | None = None
    state = "ready"
    reason = ""

    def __init__(
        self, engine: Engine, queue: int, samples: LocalSamples | None = None, licence: str = ""
    ) -> None:
        self._engine = engine
        self._samples = samples or LocalSamples(NO_SOURCE)
        self._take_hello(hello_of(engine), licence)
        self._slots = Slots(engine.slots, queue, batch_of(engine))

    @property
    def slots(self) -> int:
        return self._slots.count

    @property
    def has_line(self) -> bool:
        return self._slots.waiting > 0

    async def health(self) -> HealthReport:
        return self._slots.health()

    def open(
        self,
        work: Work,
        on_dispatch: OnDispatch = ignore_dispatch,
        pcm: AsyncIterable[bytes] | None = None,
    ) -> EngineStream:
        if (job := job_with_samples(work)) is None:
            return SlotStream(self._engine, self._slots, work, _log, on_dispatch, pcm)
        return self._samples.open(
            work,
            job,
            find_model(self.models(), job.model),
            lambda ready: SlotStream(self._engine, self._slots, ready, _log, on_dispatch, pcm),
        )

    async def drop_samples(self, digests: Collection[str]) -> None:
        """Forget these recordings. Work that uses them fails at its next event."""
        await self._samples.drop(digests)
