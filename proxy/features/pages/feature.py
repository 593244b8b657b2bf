"""Opens the welcome, /openapi.json and /docs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext


def _additions_for(revision: RevisionContext) -> Additions:
    from proxy.features.pages.welcome import ApiDescription, welcome_endpoints

    is_public = revision.config.server.public_catalogue
    return Additions(
        welcome_endpoints(revision.admin_tools),
        pages=lambda endpoints: ApiDescription(endpoints, is_public).endpoints,
    )


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    yield FeatureInstance(context, _additions_for)


FEATURE = Feature("pages", _open, paths=("/v1", "/openapi.json", "/docs"))
