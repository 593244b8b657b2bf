"""The entry of the feature elevenlabs_api in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext
from proxy.features.sockets.feature import NewestUtterances
from proxy.http.dialect import Dialect


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.elevenlabs_api import speech
    from proxy.features.elevenlabs_api.failures import KEY_HEADER, PREFIX, reply_in_dialect
    from proxy.features.elevenlabs_api.fields import FieldReader
    from proxy.features.elevenlabs_api.lists import CatalogueLists
    from proxy.features.elevenlabs_api.session import StreamParts
    from proxy.features.elevenlabs_api.sockets import socket_endpoints
    from proxy.features.sockets.http.open_sockets import OpenSockets
    from proxy.features.voice_list.voices import VoiceTools

    # `parts` has those of the newest revision alone.
    newest, parts = context.find(NewestUtterances), list[StreamParts]()
    sockets, opened = context.find(OpenSockets), socket_endpoints(lambda: parts[-1])

    def additions_for(revision: RevisionContext) -> Additions:
        speaking, voices, answering = revision.speaking, VoiceTools.of(revision), revision.answering
        if speaking is None or voices is None or answering is None:
            return Additions()
        reader = FieldReader(revision.config, voices.catalogue, speaking)
        endpoints = [
            *speech.speech_endpoints(reader, speaking, answering),
            *CatalogueLists(voices, context.ledger).endpoints,
        ]
        parts[:] = [StreamParts(reader, newest.utterances, context.ledger)]
        dialect = Dialect(PREFIX, KEY_HEADER, reply_in_dialect, endpoints)
        return Additions(dialects=[dialect], sockets=sockets.socket_endpoints(opened))

    yield FeatureInstance(context, additions_for)


FEATURE = Feature("elevenlabs_api", _open, paths=("/elevenlabs",))
