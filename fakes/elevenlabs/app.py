"""The fake as an application: its routes, its key, and the faults that ElevenLabs words itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from fakes.elevenlabs import refusing
from fakes.elevenlabs.account import KEY, Account
from fakes.elevenlabs.hearing import Listener
from fakes.elevenlabs.library import Library
from fakes.elevenlabs.refusing import Refused
from fakes.elevenlabs.speaking import Speaker
from fakes.faults import ScriptedFault, scripted
from fakes.provider import Provider, hum

EMPTY = "empty"
"""The `code` of an `error_in_200` that gives no error but an empty body."""


def fake(
    voice: Callable[[str], bytes] = hum,
    account: Account | None = None,
    others: Mapping[str, Account] = MappingProxyType({}),
) -> Provider:
    """Return the fake. `voice` makes 24 kHz PCM from a text.

    `others` has more accounts by their keys. The accounts are independent.
    """
    accounts = {KEY: account or Account(), **others}
    apps = {key: _app(each, voice) for key, each in accounts.items()}
    return Provider(_KeyCheck(apps), "/v1/text-to-speech/")


def _app(account: Account, voice: Callable[[str], bytes]) -> ASGIApp:
    routes = [*Speaker(account, voice).routes(), *Listener(account).routes(), *Library(account).routes()]
    handlers: Mapping[Any, Any] = {Refused: _refused, 404: _not_found}
    return Starlette(routes=routes, exception_handlers=handlers)


class _KeyCheck:
    """Refuses requests without a key, and requests that a test wants to fail."""

    def __init__(self, apps: Mapping[str, ASGIApp]) -> None:
        self._apps = apps

    def __repr__(self) -> str:
        return "<Door>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._apps.get(Request(scope).headers.get("xi-api-key", ""))
        if app is None:
            answer: ASGIApp = refusing.refuse(401, "invalid_api_key", "Invalid API key.").response
        else:
            answer = _answer(scripted(scope)) or app
        await answer(scope, receive, send)


def _answer(fault: ScriptedFault | None) -> Response | None:
    if fault is None:
        return None
    answer = None
    if fault.name == "429":
        answer = refusing.scripted(fault.code, 429, "rate_limit_exceeded")
    elif fault.name == "5xx":
        answer = refusing.scripted(fault.code, fault.status, "internal_server_error")
    elif fault.name == "error_in_200" and fault.code != EMPTY:
        answer = refusing.scripted(fault.code, 200, "system_busy")
    if answer is not None and fault.retry_after is not None:
        answer.headers["retry-after"] = fault.retry_after
    return answer


async def _refused(_request: Request, error: Refused) -> Response:
    return error.response


async def _not_found(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"detail": "Not Found"}, 404)
