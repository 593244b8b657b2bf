"""The redirect of a browser to the console, for features whose links lead there."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from proxy.features.pages.welcome import PAGE_HEADERS

CONSOLE_LOCATION = {"location": "Where the console is, from the address of the request."}
"""The header of a redirect to the console, for OpenAPI."""


def redirect_to_console(request: Request, fragment: str = "") -> Response:
    """Redirect a browser to the console. Without a `fragment`, the browser keeps that of its own address.

    The address is relative: the server may lie below a path of a proxy.
    """
    path: bytes = request.scope["raw_path"]
    up = "../" * (path.count(b"/") - 1) or "./"
    return Response(status_code=303, headers={**PAGE_HEADERS, "location": f"{up}{fragment}"})
