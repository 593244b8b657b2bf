"""The entry of the feature monitoring in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import AppContext, Feature, FeatureInstance


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.monitoring.loop_watch import hold_notes, watch_loop

    yield FeatureInstance(context, while_serving=lambda: watch_loop(hold_notes(context.metrics)))


FEATURE = Feature("monitoring", _open)
