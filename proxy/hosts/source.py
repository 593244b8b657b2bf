"""Engines with hosts, on this machine or in a cluster. The import of this module loads seven MiB of gRPC."""

from __future__ import annotations

import asyncio

from proxy.config.sections import EngineSection
from proxy.engines.registry import HostedEngineSpec
from proxy.engines.source import EngineSpec, EngineTools
from proxy.hosts.hosted import FIRST_HOSTS_S, HostedEngine


async def open_engine(
    name: str, section: EngineSection, spec: EngineSpec, tools: EngineTools
) -> HostedEngine:
    hosted = HostedEngine(name, tools.samples, is_clustered=bool(section.cluster))
    tools.stack.push_async_callback(hosted.close)
    if isinstance(spec, HostedEngineSpec) and spec.model_format is not None:
        hosted.brings_voices_within_s = section.load_s
    if section.cluster:
        # A caller that waits for its start learns that no host is there.
        asyncio.get_running_loop().call_later(FIRST_HOSTS_S + 0.1, hosted.changed.set)
    return hosted
