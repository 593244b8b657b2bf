"""The entry of the feature samples in the list of feature_list.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path

from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext
from proxy.features.samples.section import SECTION

_LOOK_S = 5.0


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    if context.engines is None:  # a command
        yield FeatureInstance(context)
        return
    from proxy.features.samples.endpoints import SampleEndpoints
    from proxy.features.samples.folder import MB, SampleFolder
    from proxy.features.samples.shown import ShownSamples
    from proxy.features.samples.wanted import WantedSamples
    from proxy.features.samples.worker import SampleWorker
    from proxy.speech.activity import Activity
    from proxy.telemetry.background import RepeatingTask

    store = SampleFolder(Path(context.config_at_start.data) / "samples")
    samples = ShownSamples(store)
    worker = SampleWorker(context.store, store, context.engines, context.find(Activity))

    def additions_for(revision: RevisionContext) -> Additions:
        config, section = revision.config, SECTION.of(revision.config)
        assert revision.catalogue is not None, "a server has voices"
        assert revision.speaking is not None, "a server speaks"
        samples.orders = WantedSamples(
            revision.catalogue,
            section,
            lambda: samples.shown_on_front(),
            getattr(config.features.get("front"), "voices", ()),
            config.server.default_voice,
        )
        samples.most_bytes = section.mb * MB
        worker.use_revision(samples.orders, revision.speaking, section.mb * MB)
        return Additions(SampleEndpoints(samples, is_public=config.server.public_catalogue).endpoints)

    async def look() -> None:
        # Worker 0 makes the samples. The other workers read them from its folder.
        await asyncio.to_thread(store.refresh)
        await asyncio.to_thread(store.write_uses)

    await look()
    alone_here = (partial(worker.make_in_quiet, context.metrics),) if context.config_at_start.serves else ()
    async with aclosing(RepeatingTask("look for samples", look, _LOOK_S, context.metrics, tidies=True)):
        yield FeatureInstance(
            context.with_shared(samples).with_shared(worker), additions_for, tasks_of_each_server=alone_here
        )


FEATURE = Feature("samples", _open, paths=("/v1/audio/samples",))
