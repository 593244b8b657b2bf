"""Send requests to Runpod's servers and to our pods: the key, the retries, and the errors for refusals.

The text of an answer is never passed on, because it may quote a customer's text.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from math import isfinite
from typing import Any, NamedTuple, TypeVar

import msgspec

from speech_engine import Context, HttpRequest, cloud, errors

T = TypeVar("T")

Sleep = Callable[[float], Awaitable[None]]

_REQUEST_S = 8.0
MOST_ANSWER_BYTES = 28 * 1024 * 1024
"""The limit of an answer, unless it has the result of a long text."""
MOST_TRIES = 4
MOST_PAUSE_S = 10.0
"""The longest pause. A call should end within a minute, so a longer `retry-after` goes to the caller."""
_FIRST_PAUSE_S = 0.5
_TEMPORARY_STATUSES = frozenset({408, 429})

_SENTENCES: dict[type[errors.EngineError], str] = {
    errors.EngineUnauthorized: "Runpod does not accept the key.",
    errors.EngineForbidden: "Runpod does not let the key do this.",
    errors.EngineLimited: "Runpod allows no more requests just now.",
    errors.EngineStumbled: "Runpod failed for a moment.",
    errors.UnsupportedRequest: "Runpod finds the request invalid.",
}

_NOT_THERE = "Runpod does not know the endpoint, pod or address that the settings name."


class ApiReply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"<ApiReply {self.status}, {len(self.body)} bytes>"

    def read(self, type_: type[T]) -> T:
        """Return the decoded body. Raises EngineFailed if the body has another form."""
        return cloud.decoded(type_, self.body, "Runpod's answer is not what it promises.")

    def refusal(self) -> errors.EngineError:
        kind: type[errors.EngineError] = errors.UnsupportedRequest
        if self.status in (401, 403):
            kind = errors.EngineUnauthorized if self.status == 401 else errors.EngineForbidden
        elif self.status == 429:
            kind = errors.EngineLimited
        elif is_temporary(self.status):
            kind = errors.EngineStumbled
        sentence = _NOT_THERE if self.status == 404 else _SENTENCES[kind]
        return kind(sentence, detail=f"HTTP {self.status}", retry_after_s=retry_after_s(self.headers))


class Api:
    def __init__(self, root: str, key: str, context: Context, sleep: Sleep = asyncio.sleep) -> None:
        self._root = root.rstrip("/")
        self._headers = {"authorization": f"Bearer {key}"}
        self._http = context.http
        self._log = context.log
        self._sleep = sleep

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | dict[str, Any] | None = None,
        *,
        is_safe: bool = False,
        within_s: float = _REQUEST_S,
        most_bytes: int = MOST_ANSWER_BYTES,
    ) -> ApiReply:
        """Return the answer with any status.

        A GET, a DELETE and a request that `is_safe` are retried after a temporary failure. Any other request
        is retried only if no connection was made.

        Raises EngineUnavailable if nothing was sent, and EngineTimeout or EngineFailed if it may have been.
        """
        request = self._request(method, path, body, within_s)
        is_safe = is_safe or method in ("GET", "DELETE")
        tries = 0
        while True:
            tries += 1
            outcome = await self._send_once(request, most_bytes)
            result = outcome.status if isinstance(outcome, ApiReply) else outcome
            headers = outcome.headers if isinstance(outcome, ApiReply) else {}
            pause = pause_s(tries, random.random(), headers)
            if pause is None or not may_repeat(result, is_safe=is_safe):
                break
            await self._sleep(pause)
        if isinstance(outcome, errors.EngineError):
            self._log.warning("runpod.request.failed", method=method, error=type(outcome).__name__)
            raise outcome
        return outcome

    async def pause(self, seconds: float) -> None:
        await self._sleep(seconds)

    async def _send_once(self, request: HttpRequest, most_bytes: int) -> ApiReply | errors.EngineError:
        try:
            async with self._http.send(request) as answer:
                return ApiReply(answer.status, answer.headers, await answer.read(most_bytes))
        except errors.EngineError as error:
            return error.with_traceback(None)  # which would hold what has come

    def _request(
        self, method: str, path: str, body: bytes | dict[str, Any] | None, within_s: float
    ) -> HttpRequest:
        headers = self._headers
        if body is not None:
            headers = {**headers, "content-type": "application/json"}
        content = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        return HttpRequest(
            method=method,
            url=f"{self._root}/{path}",
            headers=headers,
            body=content,
            within_s=within_s,
            silence_s=within_s,
        )


def require_status(reply: ApiReply, *expected: int) -> ApiReply:
    if reply.status not in expected:
        raise reply.refusal()
    return reply


def is_temporary(status: int) -> bool:
    return status in _TEMPORARY_STATUSES or status >= 500


def may_repeat(outcome: int | errors.EngineError, *, is_safe: bool) -> bool:
    """Return whether a request may be sent again after this status or failure.

    A request that `is_safe` has the same effect twice. Any other request may be sent again only if no
    connection was made.
    """
    if isinstance(outcome, errors.EngineUnavailable):
        return True
    if isinstance(outcome, errors.EngineTimeout):
        return False  # another try would wait as long again
    return is_safe and (isinstance(outcome, errors.EngineError) or is_temporary(outcome))


def pause_s(tries: int, chance: float, headers: Mapping[str, str]) -> float | None:
    """Return the pause after this number of tries, or None if there is no further try.

    `chance`, from 0 to 1, spreads callers that failed together. The pause is at least the `retry-after`.
    """
    if tries >= MOST_TRIES:
        return None
    retry_s = retry_after_s(headers) or 0.0
    pause = max(retry_s, _FIRST_PAUSE_S * 2 ** (tries - 1)) * (1.0 + 0.5 * chance)
    return pause if pause <= MOST_PAUSE_S * 1.5 and retry_s <= MOST_PAUSE_S else None


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of `retry-after`, or None if it is missing or a date. Runpod sends no dates."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if isfinite(seconds) and seconds >= 0 else None
