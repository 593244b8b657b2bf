"""Begins utterances, for one revision of the configuration."""

from __future__ import annotations

from contextlib import AsyncExitStack

from proxy.access.callers import Callers
from proxy.engines.engine_list import Engines
from proxy.features.sockets.utterances.cutter import Cutter
from proxy.features.sockets.utterances.delivery import Delivery
from proxy.features.sockets.utterances.piece_planner import PiecePlanner
from proxy.features.sockets.utterances.utterance import Utterance
from proxy.features.sockets.utterances.values import UtteranceListener, UtteranceSettings
from proxy.ledger import Ledger, Payer
from proxy.speech.speaking import Speaking


class Utterances:
    def __init__(self, speaking: Speaking, ledger: Ledger, callers: Callers, engines: Engines) -> None:
        self._speaking = speaking
        self._ledger = ledger
        self._callers = callers
        self._engines = engines

    async def begin_utterance(
        self, id_: str, key: str, settings: UtteranceSettings, listener: UtteranceListener
    ) -> Utterance:
        """Admit an utterance as one request by the key with this id, and take a stream for it. Its pieces
        have the id with a number. Raises RequestFailed and StorageFailed; then nothing is taken."""
        caller, request = await self._callers.by_id(key), settings.request
        terms, _ = await self._speaking.admission.admit(caller)
        payer = Payer(account=caller.account, key=caller.key, anchor=caller.anchor, terms=terms)
        planner = PiecePlanner(self._speaking, self._callers, self._engines, caller, terms, request)
        cutter = Cutter(
            language=request.language or "",
            splits=settings.splits,
            is_ssml=settings.is_ssml,
            skips_code=not settings.is_ssml and request.markdown != "off" and request.code == "skip",
        )
        stream = AsyncExitStack()
        await stream.enter_async_context(self._ledger.stream(id_, payer))
        return Utterance(id_, cutter, planner, Delivery(listener, settings.form), stream)
