"""The feature models, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import AppContext, Feature, FeatureInstance


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    if context.engines is None:  # nothing is spoken here, so no other model is needed
        yield FeatureInstance(context)
        return
    from proxy.features.models.listing import open_galleries

    yield FeatureInstance(context._replace(addable=open_galleries(context.registry).command_for))


FEATURE = Feature("models", _open)
