"""Opens the list of voices, one voice and its preview. It is never off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext


def _additions_for(revision: RevisionContext) -> Additions:
    from proxy.features.voice_list.voice_routes import voice_endpoints
    from proxy.features.voice_list.voices import VoiceTools

    tools, speaking, answering = VoiceTools.of(revision), revision.speaking, revision.answering
    if tools is None or speaking is None or answering is None:
        return Additions()
    return Additions(voice_endpoints(tools, speaking, answering, revision.config.server.default_model))


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    yield FeatureInstance(context, _additions_for)


FEATURE = Feature("voice_list", _open, paths=("/v1/audio/voices", "/v1/voices"))
