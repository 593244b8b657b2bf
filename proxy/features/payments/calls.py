"""Calls to a provider of payments, over the client of the cloud engines: bounded, and repeated if it helps.

A failure is told by its class and HTTP status alone: no message has a body, an address or a key in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import urlencode

import msgspec
import structlog

from proxy.features.payments.provider import ProviderFailed
from speech_engine import EngineError, EngineUnavailable
from speech_engine.cloud import decoded
from speech_engine.http import HttpClient, HttpRequest

T = TypeVar("T")
Query = Mapping[str, str | int]

TIMEOUT_S = 8.0
_MOST_BYTES = 1024 * 1024
PAUSES_S = (0.25, 1.0)
"""The pauses before the second and third try of a call. Then the task that makes it tries again later."""
_LONGEST_PAUSE_S = 2.0
_RETRIED_STATUSES = frozenset({408, 409, 423, 425, 429})
"""The 4xx after which the same request may succeed."""

_log = structlog.get_logger()


class _TimedOut(ProviderFailed):
    """No answer in time. It is not tried again here, since another try would wait as long."""


class ProviderCalls:
    """The calls to one provider. `headers`, with its key, go with each call."""

    def __init__(self, provider: str, client: HttpClient, base_url: str, headers: Mapping[str, str]) -> None:
        self._provider = provider
        self._client = client
        self._base_url = base_url.rstrip("/")
        self._headers = {"accept": "application/json", **headers}

    async def find_object(self, type_: type[T], path: str, query: Query | None = None) -> T | None:
        """Read an object, or return None if the provider has none there. Raises ProviderFailed."""
        query_string = f"?{urlencode(query)}" if query else ""
        answer = await self._send(
            HttpRequest(method="GET", url=f"{self._base_url}{path}{query_string}", headers=self._headers)
        )
        return None if answer is None else self._decoded(type_, answer)

    async def get_object(self, type_: type[T], path: str, query: Query | None = None) -> T:
        found = await self.find_object(type_, path, query)
        if found is None:
            raise ProviderFailed("It answered with HTTP 404.", is_final=True)
        return found

    async def change_object(
        self, type_: type[T], path: str, body: bytes, headers: Mapping[str, str], method: str = "POST"
    ) -> T:
        """Send a change. `headers` have its idempotency key, or its method is PUT: another try has no second
        effect."""
        request = HttpRequest(
            method=method, url=f"{self._base_url}{path}", headers={**self._headers, **headers}, body=body
        )
        answer = await self._send(request)
        if answer is None:
            raise ProviderFailed("It answered with HTTP 404.", is_final=True)
        return self._decoded(type_, answer)

    async def _send(self, request: HttpRequest) -> bytes | None:
        request = msgspec.structs.replace(request, within_s=TIMEOUT_S, silence_s=TIMEOUT_S)
        for pause_s in (*PAUSES_S, None):  # None: the last try
            try:
                return await self._send_once(request)
            except ProviderFailed as error:
                _log.warning("payments.call.failed", provider=self._provider, reason=error.reason)
                is_last = error.is_final or isinstance(error, _TimedOut)
                if pause_s is None or is_last or error.retry_after_s > _LONGEST_PAUSE_S:
                    raise
                await asyncio.sleep(max(pause_s, error.retry_after_s))
        raise AssertionError("the last try returns or raises")

    async def _send_once(self, request: HttpRequest) -> bytes | None:
        try:
            # The status may come in time, and the body so slowly that it never ends.
            async with asyncio.timeout(TIMEOUT_S), self._client.send(request) as answer:
                body = await answer.read(_MOST_BYTES)
                status, wanted = answer.status, answer.headers.get("retry-after", "")
        except EngineUnavailable as error:
            raise ProviderFailed("It could not be reached.") from error
        except (EngineError, TimeoutError) as error:
            raise _TimedOut("It did not answer in time, or not to the end.") from error
        if 200 <= status < 300:
            return body
        if status == 404:
            return None
        is_final = 300 <= status < 500 and status not in _RETRIED_STATUSES
        retry_after_s = float(wanted) if wanted.isascii() and wanted.isdecimal() and len(wanted) < 6 else 0.0
        raise ProviderFailed(
            f"It answered with HTTP {status}.", is_final=is_final, retry_after_s=retry_after_s
        )

    def _decoded(self, type_: type[T], answer: bytes) -> T:
        try:
            return decoded(type_, answer, "Its answer is not what its documentation says.")
        except EngineError as error:
            _log.warning("payments.call.failed", provider=self._provider, reason=error.message)
            raise ProviderFailed(error.message) from None
