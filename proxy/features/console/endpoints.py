"""GET / and /console/…: the page for visitors and the console, for a browser. Other clients of / get JSON."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

from proxy.api.admin_tools import AdminTools
from proxy.api.front import LANGUAGE, PublicFront
from proxy.errors import NotFound
from proxy.features.console.files import open_console
from proxy.features.pages.welcome import PAGE_HEADERS, WelcomeAnswer, welcome_answer
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "media-src 'self' blob:",
        "trusted-types lit-html",
        "require-trusted-types-for 'script'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_CACHED_FOR_A_YEAR = "public, max-age=31536000, immutable"


class ConsoleEndpoints(Resource):
    def __init__(self, admin_tools: AdminTools, front: PublicFront) -> None:
        self._admin_tools = admin_tools
        self._front = front

    @endpoint("GET", "/", WelcomeAnswer, media=("text/html",), access="open", queries=(LANGUAGE,))
    async def welcome(self, request: Request) -> Response:
        """Says that a voxgate is here; a browser gets the page for visitors, and the console"""
        if not _prefers_html(request.headers.get("accept", "")):
            return reply(welcome_answer(request, self._admin_tools), headers={"vary": "accept"})
        page = await self._front.document(request, (await open_console()).shell)
        vary = "accept, accept-encoding, accept-language"
        headers = {**PAGE_HEADERS, "content-security-policy": _POLICY, "vary": vary}
        return page.compressed_response(request, headers)

    @endpoint(
        "GET",
        "/console/{build}/{path:path}",
        media=("text/javascript", "text/css", "application/json"),
        access="open",
        pace="own",
        failures=(NotFound,),
    )
    async def console_file(self, request: Request) -> Response:
        """A file of the console"""
        known = await open_console()
        file = known.files.get(request.path_params["path"])
        if file is None or request.path_params["build"] != known.build:
            raise NotFound("There is no such file in this version of the console.")
        return file.compressed_response(request, {"cache-control": _CACHED_FOR_A_YEAR})


def _prefers_html(accept: str) -> bool:
    """Say whether a client wants a page more than JSON. One that takes anything, such as curl, gets JSON."""
    weights = dict(map(_media_weight, accept.split(",")))
    json_weight = next(
        (weights[media] for media in ("application/json", "application/*", "*/*") if media in weights), 0.0
    )
    return weights.get("text/html", 0.0) > json_weight


def _media_weight(part: str) -> tuple[str, float]:
    media, *parameters = (each.strip().lower() for each in part.split(";"))
    weight = next((each.removeprefix("q=") for each in parameters if each.startswith("q=")), "1")
    return media, float(weight) if re.fullmatch(r"[01](\.\d{0,3})?", weight) else 0.0
