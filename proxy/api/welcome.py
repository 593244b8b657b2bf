"""GET / and /v1: what a browser or a client's warm-up call finds at the root."""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy import __version__
from proxy.http.replies import reply


class WelcomeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Says that a voxgate is here; `base_url` is what an OpenAI client wants to be told."""

    object: Literal["server"] = "server"
    name: Literal["voxgate"] = "voxgate"
    version: str = __version__
    base_url: str


def routes() -> list[Route]:
    return [Route(path, _welcome) for path in ("/", "/v1")]


async def _welcome(request: Request) -> Response:
    return reply(WelcomeAnswer(base_url=f"{request.base_url}v1"))
