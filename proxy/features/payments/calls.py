"""Calls to a provider of payments, over the client of the cloud engines: bounded, and repeated if it helps.

Only the classes of failure are known here. A message never has a body, an address or a key in it.
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

WITHIN_S = 8.0
_MOST_BYTES = 1024 * 1024
PAUSES_S = (0.25, 1.0)
"""The pauses before further tries of one call. The task that makes it tries again later."""
_LONGEST_PAUSE_S = 2.0
_LATER = frozenset({408, 409, 423, 425, 429})
"""The 4xx after which the same request may succeed."""

_log = structlog.get_logger()


class _Late(ProviderFailed):
    """The call may have had its effect, and another try would wait as long again."""


class ProviderCalls:
    """The calls to one provider. `headers` go with each call, and have its key."""

    def __init__(self, provider: str, client: HttpClient, base_url: str, headers: Mapping[str, str]) -> None:
        self._provider = provider
        self._client = client
        self._base_url = base_url.rstrip("/")
        self._headers = {"accept": "application/json", **headers}

    async def find_object(self, type_: type[T], path: str, query: Query | None = None) -> T | None:
        """Read an object, or return None if the provider has none there. Raises ProviderFailed."""
        asked = f"?{urlencode(query)}" if query else ""
        answer = await self._answer(
            HttpRequest(method="GET", url=f"{self._base_url}{path}{asked}", headers=self._headers)
        )
        return None if answer is None else self._decoded(type_, answer)

    async def get(self, type_: type[T], path: str, query: Query | None = None) -> T:
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
        answer = await self._answer(request)
        if answer is None:
            raise ProviderFailed("It answered with HTTP 404.", is_final=True)
        return self._decoded(type_, answer)

    async def _answer(self, request: HttpRequest) -> bytes | None:
        request = msgspec.structs.replace(request, within_s=WITHIN_S, silence_s=WITHIN_S)
        for pause_s in (*PAUSES_S, None):
            try:
                return await self._try(request)
            except ProviderFailed as error:
                _log.warning("payments.call.failed", provider=self._provider, reason=error.reason)
                is_useless = error.is_final or isinstance(error, _Late)
                if pause_s is None or is_useless or error.retry_after_s > _LONGEST_PAUSE_S:
                    raise
                await asyncio.sleep(max(pause_s, error.retry_after_s))
        raise AssertionError("the last try returns or raises")

    async def _try(self, request: HttpRequest) -> bytes | None:
        try:
            # Its status may come in time, and its body byte by byte.
            async with asyncio.timeout(WITHIN_S), self._client.send(request) as answer:
                body = await answer.read(_MOST_BYTES)
                status, wanted = answer.status, answer.headers.get("retry-after", "")
        except EngineUnavailable as error:
            raise ProviderFailed("It could not be reached.") from error
        except (EngineError, TimeoutError) as error:
            raise _Late("It did not answer in time, or not to the end.") from error
        if 200 <= status < 300:
            return body
        if status == 404:
            return None
        is_final = 300 <= status < 500 and status not in _LATER
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
