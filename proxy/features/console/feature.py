"""The entry of the feature console in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.api.front import PublicFront
    from proxy.features.console.endpoints import ConsoleEndpoints

    front = context.find_shared_or(PublicFront())

    def additions_for(revision: RevisionContext) -> Additions:
        return Additions(ConsoleEndpoints(revision.admin_tools, front).endpoints)

    yield FeatureInstance(context, additions_for)


FEATURE = Feature(
    "console",
    _open,
    paths=("/", "/console"),
)
