"""An engine on machines that are rented for each piece of work. It speaks and trains for jobs only.

The rest of the server uses it like any other engine. The feature for remote work sets `runs`.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Collection
from typing import Protocol

from msgspec.structs import replace

from proxy.config.sections import EngineSection
from proxy.engines.hello_engine import HelloEngine
from proxy.engines.local_samples import LocalSamples, find_model
from speech_engine import (
    API_VERSION,
    EngineCannot,
    EngineUnavailable,
    Event,
    ModelInfo,
    Speak,
    Work,
)
from speech_engine.host.engine_stream import EngineStream, OnDispatch, ignore_dispatch
from speech_engine.host.messages import HealthReport, HelloReply
from speech_engine.work import job_with_samples


class RemoteRuns(Protocol):
    """The runs of one remote engine."""

    def open(self, work: Speak, on_dispatch: OnDispatch) -> EngineStream: ...

    @property
    def running(self) -> int:
        """The number of pieces of work in this worker that wait for an answer."""
        ...

    async def has_begun(self, step: str) -> bool:
        """Tell whether a run of this step is under way or done."""
        ...

    async def drop_samples(self, digests: Collection[str]) -> None:
        """End all runs that use these recordings. Raises EngineUnavailable if one may go on."""
        ...


class RemoteEngine(HelloEngine):
    """`runs` is None until the feature has opened, or if the runner cannot be used. `reason` says why."""

    def __init__(self, name: str, section: EngineSection, samples: LocalSamples) -> None:
        self.name = name
        self.runner = section.runner
        self.section = section
        self.samples = samples
        self.runs: RemoteRuns | None = None
        self.failure = ""
        self.trouble = ""
        """Why the remote machine has not introduced itself. The server tries again, so this is no
        `failure`."""
        self.on_models_changed: Callable[[], None] | None = None
        self._hello = HelloReply(API_VERSION, 1, (), ())

    @property
    def state(self) -> str:
        """`starting` until its models are known."""
        if self.failure:
            return "failed"
        return "ready" if self.models() else "starting"

    @property
    def reason(self) -> str:
        return self.failure or self.trouble or f"speaks for jobs only, at {self.runner}"

    @property
    def slots(self) -> int:
        return self._hello.slots

    def take_hello(self, hello: HelloReply, first_audio_s: float) -> None:
        """Take the models of the remote machine, whose first sound may take `first_audio_s`.

        It cannot keep clones, since each piece of work may run on another machine.
        """
        self.trouble = ""
        models = tuple([self._as_remote(info, first_audio_s) for info in hello.models])
        shown = replace(hello, models=models)
        if shown != self._hello:
            self._hello = shown
            if self.on_models_changed is not None:
                self.on_models_changed()

    def _as_remote(self, info: ModelInfo, first_audio_s: float) -> ModelInfo:
        return replace(
            info,
            is_local=False,
            runner=self.runner,
            first_audio_s=first_audio_s,
            clones=False,
            converts=False,
            # It trains voices but cannot speak them, since their files stay on this server.
            trained_format="",
        )

    async def has_begun(self, step: str) -> bool:
        return self.runs is not None and await self.runs.has_begun(step)

    async def health(self) -> HealthReport:
        running = 0 if self.runs is None else self.runs.running
        return HealthReport(self.slots, running, 0)

    def open(
        self,
        work: Work,
        on_dispatch: OnDispatch = ignore_dispatch,
        pcm: AsyncIterable[bytes] | None = None,
    ) -> EngineStream:
        del pcm
        if not isinstance(work, Speak) or not work.job.step:
            return _Refused(EngineCannot(f"{self.name} speaks for jobs only."))
        if self.runs is None:
            return _Refused(EngineUnavailable(f"{self.name} is not there: {self.reason}"))
        runs = self.runs
        if (job := job_with_samples(work)) is None:
            return runs.open(work, on_dispatch)
        info = find_model(self.models(), job.model)
        return self.samples.open(
            work, job, info, lambda left: runs.open(left if isinstance(left, Speak) else work, on_dispatch)
        )

    async def drop_samples(self, digests: Collection[str]) -> None:
        await self.samples.drop(digests)
        if self.runs is not None:
            await self.runs.drop_samples(digests)


class _Refused:
    """A stream that raises its error at the first event."""

    def __init__(self, why: EngineCannot | EngineUnavailable) -> None:
        self._why = why

    async def next_event(self) -> Event | None:
        raise self._why

    async def close(self) -> None:
        return
