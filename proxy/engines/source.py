"""Where the engines of a worker come from: from hosts, from providers, or from here.

A source is the `open_engine` of a module that `SOURCES` in engine_list.py names. It is imported when an
engine needs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Collection
from contextlib import AsyncExitStack
from typing import Any, NamedTuple, Protocol, TypeAlias

from proxy.config.sections import Config, EngineSection
from proxy.engines.hosts.in_process import InProcessEngine
from proxy.engines.hosts.sample_source import SampleSource
from proxy.engines.http.upstream_http import UpstreamClient
from proxy.engines.providers.cloud_engine import CloudEngine
from proxy.engines.providers.provider_key import NoSharing
from proxy.engines.registry import HostedEngineSpec, InProcessSpec, RemoteSpec
from proxy.engines.remote_engine import RemoteEngine
from proxy.telemetry.metrics import EngineMetrics
from speech_engine import ModelInfo, VoiceInfo, Work
from speech_engine.host.engine_stream import EngineStream, OnDispatch
from speech_engine.host.messages import HealthReport
from speech_engine.host.pipe_messages import HostNews, HostState


class EngineWithHosts(Protocol):
    """An engine in processes of its own, as the list of engines knows it: `HostedEngine` of `proxy/hosts`."""

    fetched_languages: tuple[str, ...]
    states: dict[int, HostState]
    changed: asyncio.Event
    on_models_changed: Callable[[], None]
    on_wanted: Callable[[str], None]

    @property
    def state(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def slots(self) -> int: ...
    @property
    def is_busy(self) -> bool: ...
    @property
    def has_line(self) -> bool: ...
    @property
    def load_progress(self) -> float | None: ...
    @property
    def can_load_now(self) -> bool: ...
    @property
    def may_bring_voices(self) -> bool: ...
    @property
    def introduction(self) -> bytes: ...
    @property
    def unlisted_voices(self) -> tuple[str, ...] | None: ...
    @property
    def tries_unknown_voices(self) -> bool: ...
    def models(self) -> tuple[ModelInfo, ...]: ...
    def voices(self) -> tuple[VoiceInfo, ...]: ...
    def introduce(self, introduction: bytes) -> None: ...
    def update_host(self, news: HostNews) -> None: ...
    def check_available(self, work: Work) -> None: ...
    async def health(self) -> HealthReport: ...
    async def drop_samples(self, digests: Collection[str]) -> None: ...
    def open(
        self, work: Work, on_dispatch: OnDispatch = ..., pcm: AsyncIterable[bytes] | None = None
    ) -> EngineStream: ...


LiveEngine: TypeAlias = EngineWithHosts | InProcessEngine | CloudEngine | RemoteEngine
WITHOUT_HOSTS = (InProcessEngine, CloudEngine, RemoteEngine)
EngineSpec: TypeAlias = HostedEngineSpec | InProcessSpec[Any] | RemoteSpec


class EngineTools(NamedTuple):
    """What a source opens an engine with. The engine closes with the `stack`."""

    stack: AsyncExitStack
    config: Config
    metrics: EngineMetrics
    samples: SampleSource
    sharing: NoSharing
    open_http: Callable[[], Awaitable[UpstreamClient]]


EngineSource = Callable[[str, EngineSection, EngineSpec, EngineTools], Awaitable[LiveEngine]]
"""Opens an engine of this name. What it raises is listed as the reason why the engine failed."""
