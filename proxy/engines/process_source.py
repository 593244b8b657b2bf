"""Engines that are created in this process: those of the cloud, and local ones without hosts."""

from __future__ import annotations

import structlog

from proxy.config.engines import API_KEY
from proxy.config.sections import EngineSection
from proxy.engines.hosts.in_process import InProcessEngine
from proxy.engines.hosts.local_samples import LocalSamples
from proxy.engines.providers.cloud_engine import CloudEngine
from proxy.engines.providers.provider_key import ProviderKey, ProviderPace
from proxy.engines.providers.refreshing import keep_refreshed
from proxy.engines.registry import InProcessSpec
from proxy.engines.source import EngineSpec, EngineTools
from speech_engine import Context
from speech_engine.host.messages import hello_of
from speech_engine.host.slots import Slots

_log = structlog.get_logger()


async def open_engine(
    name: str, section: EngineSection, spec: EngineSpec, tools: EngineTools
) -> InProcessEngine | CloudEngine:
    """Open a local engine, or a cloud engine with one guarded instance for each of its keys."""
    assert isinstance(spec, InProcessSpec)
    http = await tools.open_http()
    samples = LocalSamples(tools.samples)
    tools.stack.push_async_callback(samples.close)
    context = Context(_log.bind(engine=name), http=http, samples=samples.sample_cache, sockets=http)
    created = [await tools.stack.enter_async_context(create()) for create in spec.creators(context)]
    if not spec.is_cloud:
        return InProcessEngine(created[0], section.queue, samples, spec.licence)
    keys = []
    for number, (engine, settings, credential) in enumerate(
        zip(created, spec.settings, spec.credentials, strict=True), 1
    ):
        slots, pace = Slots(hello_of(engine).slots, section.queue), ProviderPace(section.rpm)
        keys.append(key := ProviderKey(name, number, engine, slots, pace, tools.metrics, credential))
        tools.sharing.share_key(key, name, str(getattr(settings, API_KEY, "")))
    cloud = CloudEngine(name, keys, tools.metrics, samples=samples, silent_s=section.silent_s)
    await tools.stack.enter_async_context(keep_refreshed(cloud))
    return cloud
