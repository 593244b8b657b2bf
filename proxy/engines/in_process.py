"""An engine that is created in the server itself: a cloud engine, or a local one for measurements."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import structlog

from proxy.engines.dispatch import OnDispatch, ignore_dispatch
from proxy.engines.paced import PacedEngine
from speech_engine import Engine, Event, ModelInfo, SpeechJob, VoiceInfo
from speech_engine.host.messages import Failed, HealthReport
from speech_engine.host.pulse import Pulse
from speech_engine.host.queue import FairQueue
from speech_engine.host.running import introduction, spooled

_log = structlog.get_logger()


def _nobody_watches(_working: int) -> None:
    """Do nothing: the supervisor kills frozen hosts, but never the server."""


class _JobEngine:
    """The engine for one job. It notes the dispatch when the job has its slot and has kept the pace."""

    def __init__(self, engine: Engine, on_dispatch: OnDispatch) -> None:
        self.slots = engine.slots
        self.models = engine.models
        self._engine = engine
        self._on_dispatch = on_dispatch

    def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        if isinstance(self._engine, PacedEngine):
            return self._engine.speak(job, self._on_dispatch)
        self._on_dispatch(True)
        return self._engine.speak(job)


class InProcessEngine:
    """An engine in the server, behind the same slots and queue that a host would keep."""

    keeps_spool = False
    state = "ready"
    reason = ""

    def __init__(self, engine: Engine, queue: int) -> None:
        self._engine = engine
        self.introduce()
        self._queue = FairQueue(engine.slots, queue)
        self._pulse = Pulse(_nobody_watches)

    def __repr__(self) -> str:
        return f"<InProcessEngine {self._queue!r}>"

    def introduce(self) -> None:
        """Read again which models, voices and slots the engine has."""
        self._welcome = introduction(self._engine)

    @property
    def slots(self) -> int:
        return self._welcome.slots

    def models(self) -> tuple[ModelInfo, ...]:
        return self._welcome.models

    def voices(self) -> tuple[VoiceInfo, ...]:
        return self._welcome.voices

    async def health(self) -> HealthReport:
        return self._queue.health()

    async def speak(
        self, job: SpeechJob, on_dispatch: OnDispatch = ignore_dispatch
    ) -> AsyncGenerator[Event, None]:
        engine = _JobEngine(self._engine, on_dispatch)
        speech = spooled(engine, self._queue, job, _log, self._pulse)
        async with aclosing(speech) as frames:
            async for frame in frames:
                if isinstance(frame, Failed):
                    raise frame.to_error()
                yield frame
