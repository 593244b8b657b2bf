"""What an Idempotency-Key does to a request: it is answered once, and sent again it gets the same bytes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from proxy.errors import InvalidRequest
from proxy.http.connection import Connection
from proxy.kept import KeptAnswer, KeptAnswers, KeyedRequest
from proxy.telemetry import Metrics

_KEY = re.compile(r"[ -~]{1,255}")
_NAME = "Idempotency-Key"

Answering = Callable[[Connection], Awaitable[None]]


class Idempotency:
    def __init__(self, answers: KeptAnswers, metrics: Metrics) -> None:
        self._answers = answers
        self._metrics = metrics

    def __repr__(self) -> str:
        return f"<Idempotency by {self._answers!r}>"

    def key(self, connection: Connection) -> str | None:
        """None where there is none, or where none are heeded; raises InvalidRequest for what is no key."""
        sent = connection.headers(b"idempotency-key") if self._answers.are_kept else []
        if not sent:
            return None
        if len(sent) > 1 or not _KEY.fullmatch(sent[0]):
            raise InvalidRequest(
                f"Invalid header '{_NAME}': it must come once, with 1 to 255 printable ASCII characters.",
                param=_NAME,
            )
        return sent[0]

    async def answer(self, connection: Connection, sent: KeyedRequest, answering: Answering) -> None:
        """With what was answered before; else by `answering`, while that is recorded."""
        async with self._answers.claim(sent) as claimed:
            if isinstance(claimed, KeptAnswer):
                self._metrics.replayed()
                await _replay(connection, claimed)
                return
            try:
                await answering(connection.recorded(claimed))
            finally:
                if claimed.failure is not None:
                    self._metrics.unrecorded()


async def _replay(connection: Connection, kept: KeptAnswer) -> None:
    async with connection.watched():
        await connection.start(200, [*kept.headers, ("x-voxgate-replayed", "true")])
        async for data in kept.chunks():
            await connection.send(data)
        await connection.end(b"")
