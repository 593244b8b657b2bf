"""Another API below a path prefix: its own header for the key, and its own shape for each failure."""

from typing import Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from proxy.errors import RequestFailed
from proxy.http import layers
from proxy.http.dialect import Dialect
from proxy.http.endpoint import Endpoint
from tests.proxy.api.inside import Inside, envelope
from tests.tables import each_row


async def _show(_request: Request) -> Response:
    return Response("here")


async def _break(_request: Request) -> Response:
    raise ZeroDivisionError


def _reply(failure: RequestFailed, scope: Scope) -> Response:
    told = {"wrong": failure.code, "id": scope["state"]["request_id"], "says": failure.message}
    return JSONResponse(told, failure.status)


def _endpoint(path: str, handler: Any) -> Endpoint:
    return Endpoint("GET", path, handler, path, "A thing", {"text/plain": ()})


@pytest.fixture
def transport(server: Inside) -> httpx2.ASGITransport:
    worker = server.worker
    section = worker.open_features.context.config_at_start.server
    there = [_endpoint("/other/v1/here", _show), _endpoint("/other/v1/broken", _break)]
    app = layers.public_app(
        [_endpoint("/v1/here", _show)],
        section,
        worker._logins,
        worker.parts.limits,
        worker.metrics,
        dialects=[Dialect("/other", "x-other-key", _reply, there)],
    )
    return httpx2.ASGITransport(app=app)


@each_row(
    ("path", "header", "status", "code"),
    [
        ("/other/v1/here", "x-other-key", 200, ""),
        ("/other/v1/here", "authorization", 401, "invalid_api_key"),
        ("/other/v1/here", "api-key", 401, "invalid_api_key"),
        ("/other/v1/here", "", 401, "invalid_api_key"),
        ("/other/v1/broken", "x-other-key", 500, "internal_error"),
        ("/other/v1/none", "x-other-key", 404, "unknown_url"),
        ("/other", "x-other-key", 404, "unknown_url"),
    ],
)
async def test_below_the_prefix_key_and_failures_are_those_of_the_other_api(
    server: Inside, transport: httpx2.ASGITransport, path: str, header: str, status: int, code: str
) -> None:
    answer = await _get(transport, server, path, header)
    assert answer.status_code == status
    if code:
        assert answer.json()["wrong"] == code
        assert answer.json()["id"] == answer.headers["x-request-id"]
    if code == "invalid_api_key":
        assert answer.json()["says"].endswith("Send it in the header 'x-other-key'.")
        assert server.key not in answer.text
    if code == "unknown_url":
        assert answer.json()["says"].endswith(
            "its base URL is http://voxgate.test/other, see GET /other/v1/models."
        )


async def test_a_method_that_is_not_there_is_said_in_the_other_shape(
    server: Inside, transport: httpx2.ASGITransport
) -> None:
    async with httpx2.AsyncClient(transport=transport, base_url="http://voxgate.test") as client:
        answer = await client.post("/other/v1/here", headers={"x-other-key": server.key})
    assert (answer.status_code, answer.json()["wrong"]) == (405, "method_not_allowed")


@each_row(
    ("path", "header", "code"),
    [
        ("/v1/here", "x-other-key", "invalid_api_key"),
        ("/others/v1/here", "x-other-key", "invalid_api_key"),
        ("/others/v1/here", "authorization", "unknown_url"),
    ],
)
async def test_elsewhere_nothing_changes(
    server: Inside, transport: httpx2.ASGITransport, path: str, header: str, code: str
) -> None:
    assert envelope(await _get(transport, server, path, header))["code"] == code


async def _get(transport: httpx2.ASGITransport, server: Inside, path: str, header: str) -> httpx2.Response:
    secret = f"Bearer {server.key}" if header == "authorization" else server.key
    async with httpx2.AsyncClient(transport=transport, base_url="http://voxgate.test") as client:
        return await client.get(path, headers={header: secret} if header else {})
