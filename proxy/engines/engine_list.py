"""The engines of one worker: hosted ones, whose hosts come and go, and those that are created here.

If an engine cannot be created, the list shows it as failed with a reason, and the others serve.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
import structlog

from proxy.config.config_toml import Config, EngineSection
from proxy.engines.dispatch import OnDispatch, ignore_dispatch
from proxy.engines.guarded import GuardedEngine
from proxy.engines.hosted import HostedEngine
from proxy.engines.in_process import InProcessEngine
from proxy.engines.paced import PacedEngine, ProviderPace
from proxy.engines.refreshing import keep_refreshed
from proxy.engines.registry import EngineConfigError, HostedEngineSpec, InProcessSpec, Registry
from proxy.engines.upstream_http import open_http
from proxy.telemetry import EngineMetrics
from speech_engine import (
    Context,
    Engine,
    EngineUnavailable,
    Event,
    Finished,
    HttpClient,
    ModelInfo,
    SpeechJob,
    VoiceInfo,
)
from speech_engine.host.messages import HealthReport
from speech_engine.host.pipe import HostState
from speech_engine.host.running import introduction

_log = structlog.get_logger()


class FailedEngine:
    """The place of an engine that could not be configured or created."""

    keeps_spool = False
    state = "failed"
    slots = 0

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason

    def __repr__(self) -> str:
        return f"<FailedEngine {self.name}>"

    def models(self) -> tuple[ModelInfo, ...]:
        return ()

    def voices(self) -> tuple[VoiceInfo, ...]:
        return ()

    async def health(self) -> HealthReport:
        return HealthReport(0, 0, 0)

    async def speak(
        self, job: SpeechJob, _on_dispatch: OnDispatch = ignore_dispatch
    ) -> AsyncGenerator[Event, None]:
        # A loop, though it raises at once: a function without a `yield` would be no generator, and the
        # checkers would call one behind a bare `raise` unreachable.
        for _ in job.segments:
            raise EngineUnavailable(f"{self.name} is down: {self.reason}")
        yield Finished()


LiveEngine = HostedEngine | InProcessEngine | GuardedEngine | FailedEngine


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

    @property
    def revision(self) -> int:
        return hash(tuple((engine.models(), engine.voices()) for engine in self._live.values()))

    def update_host(self, state: HostState) -> None:
        engine = self._live.get(state.engine)
        if isinstance(engine, HostedEngine):
            engine.update_host(state)

    async def wait_until_started(self, within_s: float) -> None:
        """Wait until no engine is starting any more, at most `within_s`."""
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
async def open_engines(registry: Registry, config: Config, metrics: EngineMetrics) -> AsyncIterator[Engines]:
    live: dict[str, LiveEngine] = {}
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(open_http(config.upstream))
        opening = _Opening(stack, registry, http, metrics, config.server.workers)
        for name, section in config.engines.items():
            live[name] = await opening.open(name, section)
        yield Engines(live, config.engines)


class _Opening:
    """The opening of the engines, one after the other. The stack closes them."""

    def __init__(
        self,
        stack: AsyncExitStack,
        registry: Registry,
        http: HttpClient,
        metrics: EngineMetrics,
        workers: int,
    ) -> None:
        self._stack = stack
        self._registry = registry
        self._http = http
        self._metrics = metrics
        self._workers = workers

    async def open(self, name: str, section: EngineSection) -> LiveEngine:
        try:
            spec = self._registry.engine(name, section)
        except EngineConfigError as error:
            return FailedEngine(name, str(error))
        if isinstance(spec, HostedEngineSpec):
            hosted = HostedEngine(name)
            self._stack.push_async_callback(hosted.close)
            return hosted
        try:
            return await self._create(spec, section)
        except Exception as error:  # noqa: BLE001 - the seam around a plugin: listed as its reason
            _log.warning("engine.start.failed", engine=name, exc_info=error)
            return FailedEngine(name, f"{type(error).__name__}: {error}")

    async def _create(self, spec: InProcessSpec[Any], section: EngineSection) -> LiveEngine:
        """Create a local engine as it is, and a cloud engine once for each of its keys, behind a guard."""
        context = Context(_log.bind(engine=spec.name), http=self._http)
        created = [await self._stack.enter_async_context(create()) for create in spec.creators(context)]
        if not spec.is_guarded:
            return InProcessEngine(created[0], section.queue)
        engines = [InProcessEngine(self._paced(each, section), section.queue) for each in created]
        guarded = GuardedEngine(spec.name, engines, self._metrics)
        await self._stack.enter_async_context(keep_refreshed(guarded, created))
        return guarded

    def _paced(self, engine: Engine, section: EngineSection) -> PacedEngine:
        """Give a worker its share of what the provider allows."""
        slots = section.concurrency or introduction(engine).slots
        pace = None if section.rpm is None else max(1, section.rpm // self._workers)
        return PacedEngine(engine, ProviderPace(pace), max(1, slots // self._workers))
