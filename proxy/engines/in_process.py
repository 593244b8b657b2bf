"""An engine created in the server itself: one of the cloud, or a local one for measuring."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import structlog

from proxy.engines.dispatch import OnAsked, nobody_asks
from proxy.engines.paced import PacedEngine
from speech_engine import Engine, Event, ModelInfo, SpeechJob, VoiceInfo
from speech_engine.host.messages import Failed, HealthReport
from speech_engine.host.pulse import Pulse
from speech_engine.host.queue import FairQueue
from speech_engine.host.running import introduction, spooled

_log = structlog.get_logger()


def _nobody_watches(_working: int) -> None:
    """The supervisor kills hosts for being frozen, never the server."""


class _InTurn:
    """The engine to one job alone: it is asked when the job has got its slot, and has waited for its pace."""

    def __init__(self, engine: Engine, on_asked: OnAsked) -> None:
        self.slots = engine.slots
        self.models = engine.models
        self._engine = engine
        self._on_asked = on_asked

    def __repr__(self) -> str:
        return f"<_InTurn {self._engine!r}>"

    def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        if isinstance(self._engine, PacedEngine):
            return self._engine.speak(job, self._on_asked)
        self._on_asked(True)
        return self._engine.speak(job)


class InProcessEngine:
    """An engine created in the server, behind the same slots and queue that a host would keep."""

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
        """Takes note anew of what the engine says of itself."""
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

    async def speak(self, job: SpeechJob, on_asked: OnAsked = nobody_asks) -> AsyncGenerator[Event, None]:
        engine = _InTurn(self._engine, on_asked)
        speech = spooled(engine, self._queue, job, _log, self._pulse)
        async with aclosing(speech) as frames:
            async for frame in frames:
                if isinstance(frame, Failed):
                    raise frame.to_error()
                yield frame
