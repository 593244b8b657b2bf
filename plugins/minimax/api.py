"""Exchange a request and an answer with MiniMax.

This file knows the address, the key, each place of a refusal, and the log line for a failure.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

import msgspec

from plugins.minimax import faults
from plugins.minimax.plugin import MinimaxSettings
from plugins.minimax.wire import Answer
from speech_engine import Context, EngineError, EngineFailed, HttpAnswer, HttpForm, HttpRequest, cloud

T = TypeVar("T", bound=Answer)


class Query(NamedTuple):
    fields: dict[str, str]


class Exchange:
    """An answer that has begun. It keeps the code and the trace id for the log, in case it fails."""

    def __init__(self, answer: HttpAnswer) -> None:
        self.code = 0  # MiniMax's own code of the error; 0 means none
        self.trace = answer.headers.get("trace-id", "")
        self._answer = answer

    @property
    def status(self) -> int:
        return self._answer.status

    async def next_piece(self) -> bytes:
        return await self._answer.next_piece()

    async def read(self, type_: type[T]) -> T:
        """Return the whole answer. Raises the error that the answer reports, if any."""
        answer = decoded(type_, await self._answer.read())
        self.raise_error(answer)
        return answer

    def raise_error(self, answer: Answer) -> None:
        """Raise the error that `base_resp` reports, if any."""
        self.trace = answer.trace_id or self.trace
        if answer.base_resp is not None and answer.base_resp.status_code != 0:
            self.code = answer.base_resp.status_code
            raise faults.error_of_code(answer.base_resp)

    async def raise_status_error(self) -> None:
        """Raise the error for a status other than 200. If the body has a code, the code is more exact."""
        if self.status == 200:
            return
        try:
            answer = decoded(Answer, await cloud.refusal_body(self._answer))
        except EngineFailed:
            # The body is a gateway's page, or a part of one. The status must be enough.
            answer = Answer()
        self.raise_error(answer)
        raise faults.error_of_status(self.status, self._answer.headers)


class Api:
    def __init__(self, settings: MinimaxSettings, context: Context) -> None:
        self._settings = settings
        self._http = context.http
        self._log = context.log
        self._root = settings.base_url.rstrip("/").removesuffix("/v1")
        self._query = {"GroupId": settings.group_id} if settings.group_id else {}

    @asynccontextmanager
    async def open(
        self, path: str, body: msgspec.Struct | HttpForm | Query, within_s: float
    ) -> AsyncIterator[Exchange]:
        """Send a request: a GET if it has a query in place of a body. Leaving the block ends the exchange.

        A failure inside the block is logged with MiniMax's own trace id.
        """
        async with self._http.send(self._request(path, body, within_s)) as answer:
            exchange = Exchange(answer)
            try:
                await exchange.raise_status_error()
                yield exchange
            except EngineError as error:
                self._log.warning(
                    "minimax.request.failed",
                    path=path,
                    error=type(error).__name__,
                    status=exchange.status,
                    code=exchange.code,
                    trace=exchange.trace,
                )
                raise

    async def request(
        self, path: str, body: msgspec.Struct | HttpForm | Query, type_: type[T], within_s: float
    ) -> T:
        async with self.open(path, body, within_s) as exchange:
            return await exchange.read(type_)

    def _request(self, path: str, body: msgspec.Struct | HttpForm | Query, within_s: float) -> HttpRequest:
        query = body if isinstance(body, Query) else None
        return cloud.request(
            "GET" if query else "POST",
            f"{self._root}{path}",
            {"authorization": f"Bearer {self._settings.api_key}"},
            within_s,
            query=self._query | (query.fields if query else {}),
            body=None if isinstance(body, Query) else body,
            silence_s=self._settings.silence_s,
        )


def decoded(type_: type[T], data: bytes) -> T:
    return cloud.decoded(type_, data, "MiniMax's answer is not what it promises.")
