"""GET /v1, /openapi.json and /docs: the answers for anyone who knows only the address, without a key."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy import __version__
from proxy.api.admin_tools import AdminTools
from proxy.catalogue.people import SignIn
from proxy.features.pages.api_page import api_html
from proxy.features.pages.openapi import openapi_document
from proxy.helpers.lazy_value import LazyValue
from proxy.http.endpoint import JSON, Endpoint, json_answer
from proxy.http.replies import Compressed, encode_json, reply

PAGE_HEADERS = {
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "cache-control": "no-cache",
}


def _page_headers(html: str) -> dict[str, str]:
    """Return the headers of a page without scripts. Its own styles are allowed by their hashes."""
    styles = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() for style in styles]
    rules = ["default-src 'none'", "img-src data:", *(f"style-src 'sha256-{each}'" for each in hashes)]
    rules += ["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"]
    return {**PAGE_HEADERS, "content-security-policy": "; ".join(rules)}


class WelcomeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Says that a voxgate is here. `base_url` is what an OpenAI client needs. `sign_in` tells how people
    sign in: by a link that is mailed to them, by an invitation alone, or not at all. `terms` and `privacy`
    are links to what they agree with, or empty. `features` are those that are on."""

    object: Literal["server"] = "server"
    name: Literal["voxgate"] = "voxgate"
    version: str = __version__
    base_url: str
    sign_in: SignIn
    terms: str
    privacy: str
    features: tuple[str, ...]


class ApiDescription:
    """The OpenAPI document, as JSON for programs and as HTML for people. Both are made at the first request
    for either, which most servers never get. `endpoints` are those that it describes, and its own."""

    def __init__(self, endpoints: Sequence[Endpoint], public_catalogue: bool) -> None:
        self._public_catalogue = public_catalogue
        self._documents = LazyValue(self._make_documents)
        html: dict[str, tuple[()]] = {"text/html": ()}
        self.endpoints = [
            *endpoints,
            Endpoint(
                "GET", "/openapi.json", self.show, "openapi", "This document", json_answer(), access="open"
            ),
            Endpoint("GET", "/docs", self.show_page, "docs", "The same, as a page", html, access="open"),
        ]

    async def show(self, request: Request) -> Response:
        openapi, _, _ = await self._documents.get()
        return openapi.compressed_response(request, {})

    async def show_page(self, request: Request) -> Response:
        _, page, headers = await self._documents.get()
        return page.compressed_response(request, headers)

    def _make_documents(self) -> tuple[Compressed, Compressed, dict[str, str]]:
        """Return the JSON, the HTML, and the headers of the HTML."""
        openapi = openapi_document(self.endpoints, self._public_catalogue)
        html = api_html(openapi)
        page = Compressed.compress("text/html; charset=utf-8", html.encode())
        return Compressed.compress(JSON, encode_json(openapi)), page, _page_headers(html)


def welcome_endpoints(admin_tools: AdminTools) -> list[Endpoint]:
    async def welcome(request: Request) -> Response:
        return reply(welcome_answer(request, admin_tools))

    return [
        Endpoint("GET", "/v1", welcome, "welcome_v1", "The same", json_answer(WelcomeAnswer), access="open")
    ]


def welcome_answer(request: Request, admin_tools: AdminTools) -> WelcomeAnswer:
    people = admin_tools.people
    return WelcomeAnswer(
        base_url=f"{request.base_url}v1",
        sign_in=people.sign_in,
        terms=people.terms,
        privacy=people.privacy,
        features=admin_tools.features,
    )
