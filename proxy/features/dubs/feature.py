"""The entry of the feature dubs in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.dubs.kind import DubKind
    from proxy.features.jobs.core.kind import JobKinds

    kinds = context.find(JobKinds)
    kind = DubKind(kinds.files)
    kinds.add_kind(kind)

    def additions_for(revision: RevisionContext) -> Additions:
        kind.revision = revision
        return Additions()

    async with AsyncExitStack() as stack:
        await kind.open_inputs(stack)
        yield FeatureInstance(context, additions_for)


FEATURE = Feature("dubs", _open)
