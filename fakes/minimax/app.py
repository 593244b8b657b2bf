"""The fake as a whole: its paths, its key, and the faults that it phrases itself.

A fault named `429` is MiniMax's own refusal with code 1002. With a `retry_after` it is a gateway's refusal.
The `code` of a fault is one of MiniMax's numbers. With `error_in_200` it may also be `empty` or `null_data`
(success without audio), `odd_hex`, or `no_end` (the last event is missing).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fakes.minimax import rules
from fakes.minimax.account import Account
from fakes.minimax.answers import answer, envelope, gateway
from fakes.minimax.cloning import Studio
from fakes.minimax.speech import Mouth
from speech_engine.testing.faults import ScriptedFault, scripted
from speech_engine.testing.forms import form_of
from speech_engine.testing.provider import Provider, hum

KEY = "fake-minimax-key"
_BAD_KEY = 1004
_SHAPES = ("empty", "null_data", "odd_hex", "no_end")


class FakeMinimax:
    """The fake. `provider` is its server. `unknown` lists the fields that the real service would ignore."""

    def __init__(
        self, voice: Callable[[str], bytes] = hum, *, key: str = KEY, account: Account | None = None
    ) -> None:
        self.account = account or Account()
        self._key = key
        self._mouth = Mouth(self.account, voice)
        self._studio = Studio(self.account)
        self.provider = Provider(Starlette(routes=list(self._routes())), "/t2a_v2")

    def __repr__(self) -> str:
        return f"<FakeMinimax {self.account!r}>"

    @property
    def unknown(self) -> list[str]:
        return self._mouth.unknown

    def _routes(self) -> list[Route]:
        def route(
            path: str, handler: Callable[[Request, ScriptedFault | None], Awaitable[Response]]
        ) -> Route:
            async def endpoint(request: Request) -> Response:
                fault = scripted(request.scope)
                return _refusal(request, fault, self._key) or await handler(request, fault)

            # Some users reach MiniMax through a gateway that puts its own path in front.
            return Route("/{before:path}v1/" + path, endpoint, methods=["POST"])

        return [
            route("t2a_v2", self._speak),
            route("get_voice", _with_json(self._studio.listing)),
            route("voice_clone", _with_json(self._studio.clone)),
            route("delete_voice", _with_json(self._studio.delete)),
            route("files/upload", self._upload),
        ]

    async def _speak(self, request: Request, fault: ScriptedFault | None) -> Response:
        return self._mouth.answer(await _json(request), fault)

    async def _upload(self, request: Request, fault: ScriptedFault | None) -> Response:
        form = form_of(request.headers.get("content-type", ""), await request.body())
        return self._studio.upload(form)


def _refusal(request: Request, fault: ScriptedFault | None, key: str) -> Response | None:
    if request.headers.get("authorization") != f"Bearer {key}":
        return answer(envelope(_BAD_KEY, "login fail"))
    if fault is None:
        return None
    if fault.name == "429":
        return answer(envelope(1002)) if fault.retry_after is None else gateway(429, fault.retry_after)
    if fault.name == "5xx":
        return gateway(fault.status, fault.retry_after)
    if fault.name == "error_in_200" and fault.code not in _SHAPES:
        return answer(envelope(int(fault.code or 1000), data=None))
    return None


def _with_json(
    handler: Callable[[dict[str, Any]], Response],
) -> Callable[[Request, ScriptedFault | None], Awaitable[Response]]:
    async def endpoint(request: Request, fault: ScriptedFault | None) -> Response:
        raw = await _json(request)
        return handler(raw) if isinstance(raw, dict) else answer(envelope(rules.INVALID, "body"))

    return endpoint


async def _json(request: Request) -> Any:
    try:
        return msgspec.json.decode(await request.body())
    except msgspec.DecodeError:
        return None
