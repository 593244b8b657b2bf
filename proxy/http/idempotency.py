"""Requests with an Idempotency-Key: a request that is sent again gets the stored bytes of the first
answer."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager

from proxy.errors import InvalidRequest
from proxy.file_store.answers import StoredAnswer, StoredAnswers
from proxy.file_store.once import HEADER_NAME, Once
from proxy.http.connection import Connection
from proxy.http.endpoint import Header
from proxy.ledger import Ledger, Payer
from proxy.telemetry.metrics import Metrics

_KEY_PATTERN = re.compile(r"[ -~]{1,255}")

KEY_FIELD = b"idempotency-key"
KEY_HEADER = Header(
    HEADER_NAME,
    "A request that comes again with the same key is answered with the same bytes, and charged once.",
    "^[ -~]{1,255}$",
)

Respond = Callable[[Connection], Awaitable[None]]


class Idempotency:
    def __init__(self, answers: StoredAnswers, metrics: Metrics, ledger: Ledger) -> None:
        self._answers = answers
        self._metrics = metrics
        self._ledger = ledger

    def key_of(self, connection: Connection) -> str | None:
        """Return the key of a request. None if it has none, or if no answers are stored. Raises
        InvalidRequest."""
        header = connection.headers(KEY_FIELD)
        return read_key(header) if header and self._answers.are_stored else None

    async def answer_once(self, connection: Connection, once: Once, payer: Payer, respond: Respond) -> None:
        """Send the stored answer. If there is none, call `respond`, and record its answer.

        A replay costs nothing. Like any answer, it is one of the account's streams. Raises RateLimited,
        RequestUnderWay, IdempotencyKeyReused, and what `respond` raises.
        """
        async with self._answers.claim(once) as claim:
            if isinstance(claim, StoredAnswer):
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


def read_key(values: Sequence[str]) -> str | None:
    """Return the key by the values of its header, None without one. Raises InvalidRequest."""
    if not values:
        return None
    if len(values) > 1 or not _KEY_PATTERN.fullmatch(values[0]):
        raise InvalidRequest(
            f"Invalid header '{HEADER_NAME}': it must come once, with 1 to 255 printable ASCII characters.",
            param=HEADER_NAME,
        )
    return values[0]
