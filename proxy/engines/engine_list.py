"""The engines of one worker: hosted ones, whose hosts come and go, and those that are created here.

If an engine cannot be created, the list shows it as failed with a reason, and the others serve.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Set
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib import import_module
from types import MappingProxyType

import msgspec
import structlog

from policies.routing import Candidate
from proxy.config.engines import credentials_of
from proxy.config.sections import Config, EngineSection
from proxy.engines.http.upstream_http import UpstreamClient, open_http
from proxy.engines.local_samples import LocalSamples
from proxy.engines.plugin_instances import names_of_engines
from proxy.engines.providers.cloud_engine import CloudEngine
from proxy.engines.providers.provider_key import NoSharing
from proxy.engines.registry import (
    EngineConfigError,
    HostedEngineSpec,
    InProcessSpec,
    Registry,
    RemoteSpec,
)
from proxy.engines.remote_engine import RemoteEngine
from proxy.engines.sample_source import NO_SOURCE, SampleSource
from proxy.engines.source import WITHOUT_HOSTS, EngineSource, EngineTools, EngineWithHosts, LiveEngine
from proxy.telemetry.metrics import EngineMetrics
from speech_engine import EngineVoice, Mix, Names
from speech_engine.host.pipe_messages import HostNews, HostState
from speech_engine.names import StandsIn

SOURCES: dict[type, str] = {
    HostedEngineSpec: "proxy.hosts.source",
    RemoteSpec: "proxy.hosts.source",
    InProcessSpec: "proxy.engines.process_source",
}
"""The module that opens the engines of a specification. See source.py."""

_log = structlog.get_logger()


class EngineStatus(msgspec.Struct, frozen=True):
    """What `voxgate engines` says of one engine. `credentials` are the labels of its accounts, no secrets.
    `memory_gb` is the most that its hosts have used on their `device`. `figures` are those of a batched
    model and of a card. `loaded` is the part of a starting engine that is in memory, null if that is not
    known."""

    name: str
    plugin: str
    state: str
    reason: str
    models: tuple[str, ...]
    slots: int
    running: int
    waiting: int
    waiting_s: float
    credentials: tuple[str, ...] = ()
    device: str = ""
    memory_gb: float = 0.0
    figures: dict[str, float] = {}
    loaded: float | None = None


class NeverLate:
    """The base type of the engines that are late with their first audio: it has none.
    `proxy/features/models/late_engines.py` looks for them."""

    names: Set[str] = frozenset()

    def note_miss(self, candidate: Candidate, language: str, within_s: float, /) -> None:
        """Note that a candidate gave no audio within this time."""


class Engines:
    """The engines of one worker. `names` has the OpenAI names that each engine knows, `late` the slow
    engines."""

    def __init__(
        self,
        live: Mapping[str, LiveEngine],
        sections: Mapping[str, EngineSection],
        names: Mapping[str, Names] = MappingProxyType({}),
    ) -> None:
        self._live = live
        self._sections = sections
        self.revision = 0
        """A number that changes when an engine brings other models or voices."""
        for engine in live.values():
            engine.on_models_changed = self._count_revision
        self.names = names
        self.late: NeverLate = NeverLate()

    def __getitem__(self, name: str) -> LiveEngine:
        return self._live[name]

    def __contains__(self, name: str) -> bool:
        return name in self._live

    def stated_lufs(self, candidate: Candidate, language: str) -> float | None:
        """Return the loudness that an engine of ours states for a candidate's voice, or the mean of a mix."""
        voice, model = candidate.voice, candidate.model
        if candidate.post is not None or not model.info.is_ours:
            return None
        parts = voice.parts if isinstance(voice, Mix) else ((voice, 1.0),)
        ids = [part.id if isinstance(part, EngineVoice) else "" for part, _ in parts]
        stated = {
            info.id: info.lufs_in(language) for info in self._live[model.engine].voices() if info.id in ids
        }
        found = [lufs for id_ in ids if (lufs := stated.get(id_)) is not None]
        return sum(found) / len(ids) if len(found) == len(ids) else None

    def remote_engines(self) -> list[RemoteEngine]:
        return [engine for engine in self._live.values() if isinstance(engine, RemoteEngine)]

    async def has_begun(self, name: str, step: str) -> bool:
        engine = self._live[name]
        return isinstance(engine, RemoteEngine) and await engine.has_begun(step)

    def items(self) -> list[tuple[str, LiveEngine]]:
        return list(self._live.items())

    def _count_revision(self) -> None:
        self.revision += 1

    def update_host(self, news: HostNews) -> None:
        engine = self._live.get(news.engine)
        if engine is not None and not isinstance(engine, WITHOUT_HOSTS):
            engine.update_host(news)

    def load_progress(self, name: str) -> float | None:
        engine = self._live[name]
        return None if isinstance(engine, WITHOUT_HOSTS) else engine.load_progress

    def fetch_of(self, name: str) -> tuple[HostState | None, tuple[str, ...]]:
        """Return how far an engine is fetched, and what it will speak: nothing if it was not missing."""
        engine = self._live[name]
        if isinstance(engine, WITHOUT_HOSTS) or not engine.fetched_languages:
            return None, ()
        state = engine.states.get(0)
        return (None, ()) if state is None or state.generation else (state, engine.fetched_languages)

    def introductions(self) -> dict[str, bytes]:
        """Return the models and voices of each engine whose hosts are ready."""
        return {name: engine.introduction for name, engine in self._hosted() if engine.state == "ready"}

    def unknown_engines(self) -> set[str]:
        """Return the engines with hosts that have never been up."""
        return {name for name, engine in self._hosted() if not engine.models()}

    def may_bring_voices(self) -> list[str]:
        """Return the engines that load for the first time, so that they may have any name."""
        return [name for name, engine in self._hosted() if engine.may_bring_voices]

    def introduce(self, name: str, introduction: bytes) -> None:
        """Tell an engine with hosts which models and voices it has on another server."""
        for known, engine in self._hosted():
            if known == name:
                engine.introduce(introduction)

    def _hosted(self) -> list[tuple[str, EngineWithHosts]]:
        return [
            (name, engine) for name, engine in self._live.items() if not isinstance(engine, WITHOUT_HOSTS)
        ]

    def on_wanted(self, tell: Callable[[str], None]) -> None:
        """Call `tell` with the name of an engine that a request needs and that loads on demand."""
        for engine in self._live.values():
            if not isinstance(engine, WITHOUT_HOSTS):
                engine.on_wanted = tell

    def is_usable(self, name: str) -> bool:
        engine = self._live[name]
        return engine.state == "ready" or (not isinstance(engine, WITHOUT_HOSTS) and engine.can_load_now)

    def is_busy(self, name: str) -> bool:
        """Tell whether hosts of this engine speak for this worker now."""
        engine = self._live[name]
        return not isinstance(engine, WITHOUT_HOSTS) and engine.is_busy

    def has_line(self, name: str) -> bool:
        """Tell whether texts wait for a slot of this local engine, as far as this worker knows."""
        engine = self._live[name]
        return not isinstance(engine, RemoteEngine) and engine.has_line

    def stands_in(self, name: str) -> StandsIn:
        return "same_gender" if name in self._sections and self._sections[name].stands_in else ""

    def credentials(self, name: str) -> tuple[str, ...]:
        return credentials_of(self._sections[name]) if isinstance(self._live.get(name), CloudEngine) else ()

    def divide_limits(self, workers: int) -> None:
        """Take one worker's part of what providers allow. `workers` are those of all living machines."""
        for name, engine in self._live.items():
            if isinstance(engine, CloudEngine):
                for key in engine.keys:
                    count = self._sections[name].concurrency or key.hello.slots
                    key.slots.resize(max(1, count // workers))
                    key.pace.divide(workers)

    def take_uses(self) -> set[tuple[str, str, str]]:
        """Return the clones that have spoken since the last call: engine, credential, and id."""
        return self._take(lambda engine: engine.uses)

    def take_losses(self) -> set[tuple[str, str, str]]:
        """Return the clones that providers turned out to lack since the last call: engine, credential, and
        id."""
        return self._take(lambda engine: engine.losses)

    def _take(self, clones_of: Callable[[CloudEngine], set[tuple[str, str]]]) -> set[tuple[str, str, str]]:
        taken: set[tuple[str, str, str]] = set()
        for name, engine in self._live.items():
            if isinstance(engine, CloudEngine) and (clones := clones_of(engine)):
                taken |= {(name, credential, voice) for credential, voice in clones}
                clones.clear()
        return taken

    def on_loss(self, tell: Callable[[], None]) -> None:
        """Call `tell` whenever there is a loss to take."""
        for engine in self._live.values():
            if isinstance(engine, CloudEngine):
                engine.on_loss = tell

    async def drop_samples(self, digests: Collection[str]) -> None:
        """Make all engines forget these recordings, and what they derived from them.

        When this returns, no host has them. Raises EngineUnavailable if a host does not confirm that.
        """
        drops = [engine.drop_samples(digests) for engine in self._live.values()]
        for failure in await asyncio.gather(*drops, return_exceptions=True):
            if failure is not None:
                raise failure

    async def wait_until_started(self, within_s: float) -> None:
        """Wait until no engine is starting any more, at most `within_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                for engine in self._live.values():
                    while engine.state == "starting" and not isinstance(engine, WITHOUT_HOSTS):
                        engine.changed.clear()
                        await engine.changed.wait()

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
                self.credentials(name),
                device=health.device,
                memory_gb=health.memory_gb,
                figures=health.figures,
                loaded=self.load_progress(name),
            )
            for (name, engine), health in zip(self._live.items(), healths, strict=True)
        )


@asynccontextmanager
async def open_engines(
    registry: Registry,
    config: Config,
    metrics: EngineMetrics,
    source: SampleSource = NO_SOURCE,
    sharing: NoSharing | None = None,
) -> AsyncIterator[Engines]:
    """Open all engines of the configuration. `source` has the recordings of voices."""
    live: dict[str, LiveEngine] = {}
    sharing = sharing or NoSharing()
    http: UpstreamClient | None = None
    async with AsyncExitStack() as stack:

        async def open_http_once() -> UpstreamClient:
            """This reads the machine's certificates. A worker with hosted engines only needs no HTTP."""
            nonlocal http
            if http is None:
                http = await stack.enter_async_context(open_http(config.upstream))
            return http

        tools = EngineTools(stack, config, metrics, source, sharing, open_http_once)
        for name, section in config.engines.items():
            live[name] = await _open_engine(name, section, registry, tools)
        engines = Engines(live, config.engines, names_of_engines(registry, config))
        engines.divide_limits(config.server.workers)
        await stack.enter_async_context(sharing.exchanging())
        yield engines


async def _open_engine(
    name: str, section: EngineSection, registry: Registry, tools: EngineTools
) -> LiveEngine:
    try:
        spec = registry.engine(name, section, tools.config.data, may_wait=True)
    except EngineConfigError as error:
        return CloudEngine(name, (), tools.metrics, str(error))
    if isinstance(spec, RemoteSpec) and not section.cluster:
        samples = LocalSamples(tools.samples)
        tools.stack.push_async_callback(samples.close)
        return RemoteEngine(name, section, samples)
    try:
        open_engine: EngineSource = import_module(SOURCES[type(spec)]).open_engine
        return await open_engine(name, section, spec, tools)
    except Exception as error:  # noqa: BLE001 - the seam around a plugin: listed as its reason
        _log.warning("engine.start.failed", engine=name, exc_info=error)
        return CloudEngine(name, (), tools.metrics, f"{type(error).__name__}: {error}")
