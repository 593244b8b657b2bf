"""Requests with an Idempotency-Key: a request that is sent again gets the stored bytes of the first
answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from policies.plans import Terms
from proxy.access.callers import Caller
from proxy.file_store.answers import StoredAnswer, StoredAnswers
from proxy.file_store.once import Once
from proxy.http.connection import Connection
from proxy.http.idempotency import KEY_FIELD, RepeatedRequests, Respond, read_key
from proxy.ledger import Ledger, Payer
from proxy.telemetry.metrics import Metrics


class Idempotency(RepeatedRequests):
    def __init__(self, answers: StoredAnswers, metrics: Metrics, ledger: Ledger) -> None:
        self.answers = answers
        self._metrics = metrics
        self._ledger = ledger

    async def answer_with_key(
        self,
        connection: Connection,
        state: dict[str, Any],
        terms: Terms,
        digest: Callable[[], bytes],
        respond: Respond,
    ) -> None:
        """Send the stored answer. If there is none, call `respond`, and record its answer.

        A replay costs nothing. Like any answer, it is one of the account's streams. Raises InvalidRequest,
        RateLimited, RequestUnderWay, IdempotencyKeyReused, and what `respond` raises.
        """
        key = read_key(connection.headers(KEY_FIELD)) if self.answers.are_stored else None
        if key is None:
            await respond(connection)
            return
        caller: Caller = state["caller"]
        # The content may be megabytes.
        body_digest = await asyncio.to_thread(digest)
        once = Once(state["request_id"], caller.account, key, body_digest)
        async with self.answers.claim(once) as claim:
            if isinstance(claim, StoredAnswer):
                payer = Payer(account=caller.account, key=caller.key, anchor=caller.anchor, terms=terms)
                await self._replay(connection, claim, self._ledger.stream(once.request, payer))
                return
            connection.recording = claim
            try:
                await respond(connection)
            finally:
                if claim.failure is not None:
                    self._metrics.unrecorded.inc()

    async def _replay(
        self, connection: Connection, stored: StoredAnswer, stream: AbstractAsyncContextManager[None]
    ) -> None:
        headers = [(name.encode(), value.encode("latin-1")) for name, value in stored.head.headers]
        replay_of = (b"x-voxgate-replay-of", stored.head.request.encode())
        with connection.stop_when_client_leaves():
            async with stream:
                self._metrics.replayed.inc()
                connection.set_head(200, [*headers, (b"x-voxgate-replayed", b"true"), replay_of])
                data = await stored.next_chunk()
                while next_data := await stored.next_chunk():
                    await connection.send(data)
                    data = next_data
            # As with any answer, the stream has ended when the client has the last bytes.
            await connection.end(data)
