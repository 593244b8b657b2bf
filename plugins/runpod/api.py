"""Exchange a request and an answer with one of Runpod's servers, or with a pod of ours.

This file knows the key, when a request is sent again, and what a refusal means. It passes on no word of an
answer, since it may quote a text.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from plugins.runpod.retrying import is_temporary, may_repeat, pause_s, retry_after_s
from speech_engine import (
    Context,
    EngineError,
    EngineFailed,
    EngineForbidden,
    EngineLimited,
    EngineStumbled,
    EngineUnauthorized,
    HttpRequest,
    UnsupportedRequest,
    cloud,
)

T = TypeVar("T")

Sleep = Callable[[float], Awaitable[None]]

_WITHIN_S = 10.0
MOST_ANSWER_BYTES = 64 * 1024 * 1024
"""A result of minutes of sound, in base64."""

_SENTENCES: dict[type[EngineError], str] = {
    EngineUnauthorized: "Runpod does not accept the key.",
    EngineForbidden: "Runpod does not let the key do this.",
    EngineLimited: "Runpod allows no more requests just now.",
    EngineStumbled: "Runpod failed for a moment.",
    UnsupportedRequest: "Runpod finds the request invalid.",
}

_NOT_THERE = "Runpod does not know the endpoint, pod or address that the settings name."


class Said(NamedTuple):
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"<Said {self.status}, {len(self.body)} bytes>"

    def read(self, type_: type[T]) -> T:
        """Return what it says. Raises EngineFailed if it says something else."""
        return cloud.decoded(type_, self.body, "Runpod's answer is not what it promises.")

    def refusal(self) -> EngineError:
        """Return the error for a status that is no success."""
        kind: type[EngineError] = UnsupportedRequest
        if self.status in (401, 403):
            kind = EngineUnauthorized if self.status == 401 else EngineForbidden
        elif self.status == 429:
            kind = EngineLimited
        elif is_temporary(self.status):
            kind = EngineStumbled
        sentence = _NOT_THERE if self.status == 404 else _SENTENCES[kind]
        return kind(sentence, detail=f"HTTP {self.status}", retry_after_s=retry_after_s(self.headers))


class Api:
    """One server. `sleep` is how it waits before it asks again."""

    def __init__(self, root: str, key: str, context: Context, sleep: Sleep = asyncio.sleep) -> None:
        self._root = root.rstrip("/")
        self._headers = {"authorization": f"Bearer {key}"}
        self._http = context.http
        self._log = context.log
        self._sleep = sleep

    def __repr__(self) -> str:
        return f"<Api {self._root}>"

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes | dict[str, Any] | None = None,
        *,
        is_safe: bool = False,
        within_s: float = _WITHIN_S,
    ) -> Said:
        """Return the answer, whatever its status. A GET is sent again after a failure that may pass, and so
        is what `is_safe` to send twice; anything else only if no connection was made.

        Raises EngineUnavailable if nothing was sent; EngineTimeout or EngineFailed if it may have been.
        """
        request = self._request(method, path, body, within_s)
        is_safe = is_safe or method in ("GET", "DELETE")
        tries = 0
        while True:
            tries += 1
            outcome = await self._outcome(request)
            told = outcome.status if isinstance(outcome, Said) else outcome
            headers = outcome.headers if isinstance(outcome, Said) else {}
            pause = pause_s(tries, random.random(), headers)
            if pause is None or not may_repeat(told, is_safe=is_safe):
                break
            await self._sleep(pause)
        if isinstance(outcome, EngineError):
            self._log.warning("runpod.request.failed", method=method, error=type(outcome).__name__)
            raise outcome
        return outcome

    async def rest(self, seconds: float) -> None:
        """Wait before the next question."""
        await self._sleep(seconds)

    async def _outcome(self, request: HttpRequest) -> Said | EngineError:
        try:
            async with self._http.send(request) as answer:
                return Said(answer.status, answer.headers, await answer.read(MOST_ANSWER_BYTES))
        except EngineError as error:
            return error

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


def checked(said: Said, *fine: int) -> Said:
    """Return an answer with one of these statuses. Raises the error of any other."""
    if said.status not in fine:
        raise said.refusal()
    return said


class InDoubt(EngineFailed):
    """It is not known whether Runpod has begun what it was asked for. Nobody may ask again before it is."""
