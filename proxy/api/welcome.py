"""GET /v1, /openapi.json and /docs: the answers for anyone who knows only the address, without a key."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy import __version__
from proxy.api.api_page import api_html
from proxy.catalogue.people import People, SignIn
from proxy.http.endpoint import Endpoint, json
from proxy.http.openapi import document
from proxy.http.replies import encode_json, reply

PAGE_HEADERS = {
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "cache-control": "no-cache",
}
CONSOLE_PLACE = {"location": "Where the console is, from the address of the request."}
"""The header of an answer that leads there."""


class HtmlPage:
    """A text of HTML. Nothing runs there, and it is shown with its own styles alone, by their hashes."""

    def __init__(self, html: str) -> None:
        self.html = html
        styles = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
        rules = ["default-src 'none'", "img-src data:", *(f"style-src '{_hash(style)}'" for style in styles)]
        rules += ["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"]
        self._headers = {**PAGE_HEADERS, "content-security-policy": "; ".join(rules)}

    def answer(self) -> Response:
        return Response(self.html, headers=self._headers, media_type="text/html")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


class WelcomeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Says that a voxgate is here. `base_url` is what an OpenAI client needs. `sign_in` tells how people
    sign in: by a link that is mailed to them, by an invitation alone, or not at all. `terms` and `privacy`
    are links to what they agree with, or empty."""

    object: Literal["server"] = "server"
    name: Literal["voxgate"] = "voxgate"
    version: str = __version__
    base_url: str
    sign_in: SignIn
    terms: str
    privacy: str


class Description:
    """The OpenAPI document, for programs and for people.

    Each is made at its first request: on most servers there is none.
    """

    def __init__(self, described: Sequence[Endpoint], public_catalogue: bool) -> None:
        self._public_catalogue = public_catalogue
        self._encoded: bytes | None = None
        self._page: HtmlPage | None = None
        self.endpoints = [*described, *self._own()]

    async def show(self, _request: Request) -> Response:
        if self._encoded is None:
            self._encoded = await asyncio.to_thread(lambda: encode_json(self._document()))
        return Response(self._encoded, media_type="application/json")

    async def show_page(self, _request: Request) -> Response:
        if self._page is None:
            self._page = await asyncio.to_thread(lambda: HtmlPage(api_html(self._document())))
        return self._page.answer()

    def _document(self) -> dict[str, Any]:
        return document(self.endpoints, self._public_catalogue)

    def _own(self) -> tuple[Endpoint, ...]:
        html: dict[str, tuple[()]] = {"text/html": ()}
        return (
            Endpoint("GET", "/openapi.json", self.show, "openapi", "This document", json(), access="open"),
            Endpoint("GET", "/docs", self.show_page, "docs", "The same, as a page", html, access="open"),
        )


def routes(people: People) -> list[Endpoint]:
    async def welcome(request: Request) -> Response:
        return reply(welcome_answer(request, people))

    return [Endpoint("GET", "/v1", welcome, "welcome_v1", "The same", json(WelcomeAnswer), access="open")]


def with_openapi(endpoints: Sequence[Endpoint], public_catalogue: bool) -> list[Endpoint]:
    """Add the endpoint that describes all of them, and itself."""
    return Description(endpoints, public_catalogue).endpoints


def welcome_answer(request: Request, people: People) -> WelcomeAnswer:
    return WelcomeAnswer(
        base_url=f"{request.base_url}v1",
        sign_in=people.sign_in,
        terms=people.terms,
        privacy=people.privacy,
    )


def to_console(request: Request, fragment: str = "") -> Response:
    """Lead a browser to the console. Without a `fragment` it takes that of its own address along.

    The address is relative: the server may lie below a path of a proxy.
    """
    path: bytes = request.scope["raw_path"]
    up = "../" * (path.count(b"/") - 1) or "./"
    return Response(status_code=303, headers={**PAGE_HEADERS, "location": f"{up}{fragment}"})
