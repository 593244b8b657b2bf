"""GET /openapi.json: the description of this API for programs, served without a key."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.http.openapi import document
from proxy.http.operation import Operation
from proxy.http.replies import encode_json


class Description:
    """Made when it is first asked for: most servers never are."""

    def __init__(self, operations: Sequence[Operation], public_catalogue: bool) -> None:
        self._operations = operations
        self._public_catalogue = public_catalogue

    async def show(self, _request: Request) -> Response:
        return Response(self._encoded, media_type="application/json")

    @cached_property
    def _encoded(self) -> bytes:
        return encode_json(document(self._operations, self._public_catalogue))


def routes(operations: Sequence[Operation], public_catalogue: bool) -> list[Route]:
    return [Route("/openapi.json", Description(operations, public_catalogue).show)]
