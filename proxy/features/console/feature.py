"""The feature console, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Additions, AppContext, Feature, FeatureInstance


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.console.endpoints import ConsoleEndpoints

    yield FeatureInstance(context, lambda _revision: Additions(ConsoleEndpoints().endpoints))


FEATURE = Feature("console", _open)
