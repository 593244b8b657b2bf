"""GET /, /v1 and /openapi.json: the answers for anyone who knows only the address, without a key."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy import __version__
from proxy.http.endpoint import Endpoint, json
from proxy.http.openapi import document
from proxy.http.replies import encode_json, reply


class WelcomeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Says that a voxgate is here. `base_url` is what an OpenAI client needs."""

    object: Literal["server"] = "server"
    name: Literal["voxgate"] = "voxgate"
    version: str = __version__
    base_url: str


class Description:
    """The OpenAPI document. It is made when somebody first asks for it: on most servers nobody does."""

    def __init__(self, described: Sequence[Endpoint], public_catalogue: bool) -> None:
        self._public_catalogue = public_catalogue
        self.endpoints = [*described, self._own()]

    async def show(self, _request: Request) -> Response:
        return Response(self._encoded, media_type="application/json")

    @cached_property
    def _encoded(self) -> bytes:
        return encode_json(document(self.endpoints, self._public_catalogue))

    def _own(self) -> Endpoint:
        return Endpoint("GET", "/openapi.json", self.show, "openapi", "This document", json(), access="open")


def routes() -> list[Endpoint]:
    return [
        Endpoint(
            "GET",
            "/",
            _welcome,
            "welcome",
            "Says that a voxgate is here",
            json(WelcomeAnswer),
            access="open",
        ),
        Endpoint("GET", "/v1", _welcome, "welcome_v1", "The same", json(WelcomeAnswer), access="open"),
    ]


def with_description(endpoints: Sequence[Endpoint], public_catalogue: bool) -> list[Endpoint]:
    """Add the endpoint that describes all of them, and itself."""
    return Description(endpoints, public_catalogue).endpoints


async def _welcome(request: Request) -> Response:
    return reply(WelcomeAnswer(base_url=f"{request.base_url}v1"))
