"""Begins utterances, for one revision of the configuration."""

from __future__ import annotations

from proxy.access.callers import Callers
from proxy.engines.engine_list import Engines
from proxy.features.sockets.utterances.utterance import Utterance
from proxy.features.sockets.utterances.values import Listener, UtteranceSettings
from proxy.ledger import Ledger
from proxy.speech.speaking import Speaking


class Utterances:
    def __init__(self, speaking: Speaking, ledger: Ledger, callers: Callers, engines: Engines) -> None:
        self._speaking = speaking
        self._ledger = ledger
        self._callers = callers
        self._engines = engines

    async def begin(self, id_: str, key: str, settings: UtteranceSettings, listener: Listener) -> Utterance:
        """Admit an utterance as one request by the key with this id, and take a stream for it. Its pieces
        have the id with a number. Raises RequestFailed; then nothing is taken."""
        raise NotImplementedError
