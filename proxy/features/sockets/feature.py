"""The entry of the feature sockets in the list of feature_list.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from proxy.feature import Additions, AppContext, Feature, FeatureInstance, RevisionContext

if TYPE_CHECKING:
    from proxy.features.sockets.utterances.utterances import Utterances

_PATH = "/v1/audio/speech/stream"


class NewestUtterances:
    """Leads to the utterances of the newest revision. The next utterance of an open socket uses them."""

    utterances: Utterances


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    from proxy.features.sockets.http.open_sockets import OpenSockets
    from proxy.features.sockets.http.socket import ClientSocket, SocketEndpoint
    from proxy.features.sockets.session import NativeSession, SessionParts
    from proxy.features.sockets.utterances.utterances import Utterances
    from proxy.speech.speech_request import Defaults

    # `parts` has those of the newest revision alone.
    newest, parts = NewestUtterances(), list[SessionParts]()
    sockets = OpenSockets(context.config_at_start.server, context.metrics)

    async def handle(socket: ClientSocket) -> None:
        await NativeSession(socket, lambda: parts[-1]).serve_socket()

    def additions_for(revision: RevisionContext) -> Additions:
        speaking, callers = revision.speaking, revision.admin_tools.callers
        if speaking is None or context.engines is None:
            return Additions()
        sockets.revise_limits(revision.config.server)
        newest.utterances = Utterances(speaking, context.ledger, callers, context.engines)
        defaults = Defaults.of(revision.config.server)
        parts[:] = [SessionParts(newest.utterances, speaking, defaults)]
        summary = "Speech while its text is being written: a WebSocket, see docs/agents.md"
        endpoint = SocketEndpoint(_PATH, handle, "stream_speech", summary)
        return Additions(sockets=sockets.socket_endpoints([endpoint]))

    shared = context.with_shared(newest).with_shared(sockets)
    yield FeatureInstance(shared, additions_for, let_clients_go=sockets.leave_server)


FEATURE = Feature("sockets", _open, paths=("/v1/audio/speech/stream",))
