"""The engines of one worker: hosted ones as their hosts come and go, the others created here.

An engine that cannot be created is listed as failed with its reason; the others serve.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import msgspec
import structlog

from proxy.config import EngineSection
from proxy.engines.hosted import HostedEngine
from proxy.engines.registry import EngineConfigError, HostedEngineSpec, InProcessSpec, Registry
from speech_engine import Context, Engine, Event, ModelInfo, SpeechJob, VoiceInfo
from speech_engine.host.messages import Failed, Health
from speech_engine.host.pipe import HostState
from speech_engine.host.pulse import Pulse
from speech_engine.host.queue import FairQueue
from speech_engine.host.running import introduction, spooled

_log = structlog.get_logger()


def _nobody_watches(_working: int) -> None:
    """The supervisor kills hosts for being frozen, never the server."""


class InProcessEngine:
    """An engine created in the server, behind the same slots and queue that a host would keep."""

    state = "ready"
    reason = ""

    def __init__(self, engine: Engine, queue: int) -> None:
        self._engine = engine
        self._welcome = introduction(engine)
        self._queue = FairQueue(engine.slots, queue)
        self._pulse = Pulse(_nobody_watches)

    def __repr__(self) -> str:
        return f"<InProcessEngine {self._queue!r}>"

    @property
    def slots(self) -> int:
        return self._welcome.slots

    def models(self) -> tuple[ModelInfo, ...]:
        return self._welcome.models

    def voices(self) -> tuple[VoiceInfo, ...]:
        return self._welcome.voices

    async def health(self) -> Health:
        return self._queue.health()

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        speech = spooled(self._engine, self._queue, job, _log, self._pulse)
        async with aclosing(speech) as frames:
            async for frame in frames:
                if isinstance(frame, Failed):
                    raise frame.to_error()
                yield frame


LiveEngine = HostedEngine | InProcessEngine


def _failed(name: str, reason: str) -> HostedEngine:
    """Stands where an engine could not be configured or created: one whose only host is down for good."""
    engine = HostedEngine(name)
    engine.states[0] = HostState(name, 0, 0, "failed", reason)
    return engine


class EngineStatus(msgspec.Struct, frozen=True):
    """What `voxgate engines` and /readyz say of one engine."""

    name: str
    plugin: str
    state: str
    reason: str
    models: tuple[str, ...]
    slots: int
    running: int
    waiting: int
    waiting_s: float


class Engines:
    def __init__(self, live: Mapping[str, LiveEngine], sections: Mapping[str, EngineSection]) -> None:
        self._live = live
        self._sections = sections

    def __repr__(self) -> str:
        return f"<Engines {', '.join(f'{name} {engine.state}' for name, engine in self._live.items())}>"

    def __getitem__(self, name: str) -> LiveEngine:
        return self._live[name]

    def __contains__(self, name: str) -> bool:
        return name in self._live

    def items(self) -> list[tuple[str, LiveEngine]]:
        return list(self._live.items())

    def heard(self, state: HostState) -> None:
        engine = self._live.get(state.engine)
        if isinstance(engine, HostedEngine):
            engine.heard(state)

    async def settled(self, within_s: float) -> None:
        """Returns when no engine is starting any more, or when the time is up."""
        try:
            async with asyncio.timeout(within_s):
                for engine in self._live.values():
                    while engine.state == "starting" and isinstance(engine, HostedEngine):
                        engine.changed.clear()
                        await engine.changed.wait()
        except TimeoutError:
            return

    async def statuses(self) -> tuple[EngineStatus, ...]:
        healths = await asyncio.gather(*(engine.health() for engine in self._live.values()))
        return tuple(
            EngineStatus(
                name,
                self._sections[name].plugin,
                engine.state,
                engine.reason,
                tuple(f"{name}/{model.id}" for model in engine.models()),
                health.slots,
                health.running,
                health.waiting,
                health.waiting_s,
            )
            for (name, engine), health in zip(self._live.items(), healths, strict=True)
        )


@asynccontextmanager
async def open_engines(registry: Registry, sections: Mapping[str, EngineSection]) -> AsyncIterator[Engines]:
    live: dict[str, LiveEngine] = {}
    async with AsyncExitStack() as stack:
        for name, section in sections.items():
            live[name] = await _open(stack, registry, name, section)
        yield Engines(live, sections)


async def _open(stack: AsyncExitStack, registry: Registry, name: str, section: EngineSection) -> LiveEngine:
    try:
        spec = registry.engine(name, section)
    except EngineConfigError as error:
        return _failed(name, str(error))
    if isinstance(spec, HostedEngineSpec):
        hosted = HostedEngine(name)
        stack.push_async_callback(hosted.close)
        return hosted
    return await _create(stack, spec, section)


async def _create(stack: AsyncExitStack, spec: InProcessSpec, section: EngineSection) -> LiveEngine:
    try:
        created = spec.create(spec.name, spec.settings, Context(_log.bind(engine=spec.name)))
        return InProcessEngine(await stack.enter_async_context(created), section.queue)
    except Exception as error:  # noqa: BLE001 - the seam around a plugin: listed as its reason
        _log.warning("engine.start.failed", engine=spec.name, exc_info=error)
        return _failed(spec.name, f"{type(error).__name__}: {error}")
