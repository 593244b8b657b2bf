"""The fake as a whole: its paths, its key, and the faults that it phrases itself.

A fault named `429` is MiniMax's own refusal with code 1002. With a `retry_after` it is a gateway's refusal.
The `code` of a fault is one of MiniMax's numbers. With `error_in_200` it may also be `empty` or `null_data`
(success without audio), `odd_hex`, or `no_end` (the last event is missing).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fakes.faults import ScriptedFault, scripted
from fakes.forms import form_of
from fakes.minimax import rules
from fakes.minimax.account import Account
from fakes.minimax.answers import answer, envelope, gateway
from fakes.minimax.cloning import Studio
from fakes.minimax.speech import Mouth
from fakes.provider import Provider, hum

KEY = "fake-minimax-key"
_BAD_KEY = 1004
_SHAPES = ("empty", "null_data", "odd_hex", "no_end")


class _Rooms(NamedTuple):
    account: Account
    mouth: Mouth
    studio: Studio

    @classmethod
    def of(cls, account: Account, voice: Callable[[str], bytes]) -> _Rooms:
        return cls(account, Mouth(account, voice), Studio(account))


_Handler = Callable[[_Rooms, Request, ScriptedFault | None], Awaitable[Response]]


class FakeMinimax:
    """The fake. `provider` is its server. `unknown` lists the fields that the real service would ignore.

    `others` has more accounts by their keys. The accounts are independent.
    """

    def __init__(
        self,
        voice: Callable[[str], bytes] = hum,
        *,
        key: str = KEY,
        account: Account | None = None,
        others: Mapping[str, Account] = MappingProxyType({}),
    ) -> None:
        self.account = account or Account()
        accounts = {key: self.account, **others}
        self._rooms = {key: _Rooms.of(account, voice) for key, account in accounts.items()}
        self.provider = Provider(Starlette(routes=list(self._routes())), "/t2a_v2")

    def __repr__(self) -> str:
        return f"<FakeMinimax {self.account!r}>"

    @property
    def unknown(self) -> list[str]:
        return [name for rooms in self._rooms.values() for name in rooms.mouth.unknown]

    def _routes(self) -> list[Route]:
        def route(path: str, handler: _Handler, method: str = "POST") -> Route:
            async def endpoint(request: Request) -> Response:
                fault = scripted(request.scope)
                rooms = self._rooms.get(request.headers.get("authorization", "").removeprefix("Bearer "))
                if rooms is None:
                    return answer(envelope(_BAD_KEY, "login fail"))
                return _refusal(fault) or await handler(rooms, request, fault)

            # Some users reach MiniMax through a gateway that puts its own path in front.
            return Route("/{before:path}v1/" + path, endpoint, methods=[method])

        return [
            route("t2a_v2", _speak),
            route("get_voice", _with_json(Studio.listing)),
            route("voice_clone", _with_json(Studio.clone)),
            route("delete_voice", _with_json(Studio.delete)),
            route("files/upload", _upload),
            route("files/delete", _with_json(Studio.forget)),
            route("files/list", _files, "GET"),
        ]


async def _speak(rooms: _Rooms, request: Request, fault: ScriptedFault | None) -> Response:
    return rooms.mouth.answer(await _json(request), fault)


async def _upload(rooms: _Rooms, request: Request, _fault: ScriptedFault | None) -> Response:
    form = form_of(request.headers.get("content-type", ""), await request.body())
    return rooms.studio.upload(form)


async def _files(rooms: _Rooms, request: Request, _fault: ScriptedFault | None) -> Response:
    return rooms.studio.files(request.query_params.get("purpose", ""))


def _refusal(fault: ScriptedFault | None) -> Response | None:
    if fault is None:
        return None
    if fault.name == "429":
        return answer(envelope(1002)) if fault.retry_after is None else gateway(429, fault.retry_after)
    if fault.name == "5xx":
        return gateway(fault.status, fault.retry_after)
    if fault.name == "error_in_200" and fault.code not in _SHAPES:
        return answer(envelope(int(fault.code or 1000), data=None))
    return None


def _with_json(handler: Callable[[Studio, dict[str, Any]], Response]) -> _Handler:
    async def endpoint(rooms: _Rooms, request: Request, _fault: ScriptedFault | None) -> Response:
        raw = await _json(request)
        return (
            handler(rooms.studio, raw) if isinstance(raw, dict) else answer(envelope(rules.INVALID, "body"))
        )

    return endpoint


async def _json(request: Request) -> Any:
    try:
        return msgspec.json.decode(await request.body())
    except msgspec.DecodeError:
        return None
