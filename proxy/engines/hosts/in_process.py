"""A local engine that runs in the server itself, for measurements. It has a host's slots, but nothing
protects the server from its crash."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Collection

import msgspec
import structlog

from proxy.engines.hosts.local_samples import LocalSamples, find_model
from proxy.engines.hosts.sample_source import NO_SOURCE
from speech_engine import Engine, ModelInfo, VoiceInfo, Work
from speech_engine.host.engine_stream import EngineStream, OnDispatch, SlotStream, ignore_dispatch
from speech_engine.host.messages import HealthReport, HelloReply, introduction
from speech_engine.host.slots import Slots, batch_of
from speech_engine.licences import with_licence
from speech_engine.work import job_with_samples

_log = structlog.get_logger()


class Introduced:
    """An engine whose models and voices are known, see `introduction`."""

    _welcome: HelloReply

    def models(self) -> tuple[ModelInfo, ...]:
        return self._welcome.models

    def voices(self) -> tuple[VoiceInfo, ...]:
        return self._welcome.voices

    @property
    def unlisted_voices(self) -> tuple[str, ...] | None:
        return self._welcome.unlisted_voices

    @property
    def tries_unknown_voices(self) -> bool:
        return self._welcome.tries_unknown_voices

    def check_available(self, work: Work) -> None:
        """Do nothing: such an engine is always available."""

    def _know(self, welcome: HelloReply, licence: str) -> None:
        self._welcome = msgspec.structs.replace(welcome, models=with_licence(welcome.models, licence))


class InProcessEngine(Introduced):
    """An engine in the server, behind the same slots and queue as in a host."""

    on_introduced: Callable[[], None] | None = None
    state = "ready"
    reason = ""

    def __init__(
        self, engine: Engine, queue: int, samples: LocalSamples | None = None, licence: str = ""
    ) -> None:
        self._engine = engine
        self._samples = samples or LocalSamples(NO_SOURCE)
        self._know(introduction(engine), licence)
        self._slots = Slots(engine.slots, queue, batch_of(engine))

    @property
    def slots(self) -> int:
        return self._slots.count

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
            lambda left: SlotStream(self._engine, self._slots, left, _log, on_dispatch, pcm),
        )

    async def drop_samples(self, digests: Collection[str]) -> None:
        """Forget these recordings. Work that uses them fails at its next event."""
        await self._samples.drop(digests)
