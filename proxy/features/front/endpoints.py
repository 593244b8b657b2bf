"""GET /front/…: the operator's style sheet and logo, for everybody."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from proxy.errors import NotFound
from proxy.features.front.look import Look
from proxy.http.resource import Resource, endpoint

_HEADERS = {
    "cache-control": "public, max-age=31536000, immutable",
    # An SVG that is opened as a page runs nothing and fetches nothing. Its own styles belong to the picture.
    "content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'",
}


class LookFiles(Resource):
    def __init__(self, look: Look) -> None:
        self._look = look

    @endpoint(
        "GET",
        "/front/{name}",
        media=("text/css", "image/png", "image/svg+xml"),
        access="open",
        pace="own",
        failures=(NotFound,),
    )
    async def front_file(self, request: Request) -> Response:
        """The style sheet or the logo of the operator"""
        file = self._look.files.get(request.path_params["name"])
        if file is None:
            raise NotFound("The page for visitors has no such file now.")
        return file.compressed_response(request, _HEADERS)
