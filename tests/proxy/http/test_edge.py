"""What surrounds every endpoint: keys first, then paths and methods, and one shape for every error."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from starlette.types import Message

from proxy.storage import api_key
from tests.proxy.api.inside import Inside, envelope

SPEECH = "/v1/audio/speech"


@pytest.mark.parametrize(
    ("path", "method"),
    [(SPEECH, "POST"), ("/v1/models", "GET"), ("/nope", "GET"), ("/admin/keys", "GET"), (SPEECH, "PUT")],
)
async def test_without_a_key_every_path_says_the_same(server: Inside, path: str, method: str) -> None:
    answer = await server.ask(method, path, key="")
    error = envelope(answer)
    assert (answer.status_code, error["code"], error["param"]) == (401, "invalid_api_key", None)
    assert "Authorization: Bearer" in error["message"]


async def test_a_wrong_key_is_refused_before_the_path_is_looked_at(server: Inside) -> None:
    secret = api_key.mint().reveal()
    answer = await server.ask("GET", "/nope", key=secret)
    error = envelope(answer)
    assert (answer.status_code, error["code"]) == (401, "invalid_api_key")
    assert error["message"].startswith("Incorrect API key provided")
    assert secret not in answer.text


@pytest.mark.parametrize(
    "path", ["/nope", "/audio/speech", "/v1/v1/audio/speech", "/v1/embeddings", "/v1/nope?x=1"]
)
async def test_an_unknown_path_is_a_404_that_names_the_base_url(server: Inside, path: str) -> None:
    answer = await server.ask("POST", path, body={"input": "private words"})
    error = envelope(answer)
    assert (answer.status_code, error["code"]) == (404, "unknown_url")
    assert f"POST {path.partition('?')[0]}." in error["message"]
    assert "http://voxgate.test/v1" in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", SPEECH, {"POST"}),
        ("HEAD", SPEECH, {"POST"}),
        ("OPTIONS", SPEECH, {"POST"}),
        ("POST", "/v1/models", {"GET", "HEAD"}),
        ("PUT", "/v1/voices/alloy", {"GET", "HEAD", "POST", "DELETE"}),
        ("PUT", "/admin/accounts", {"GET", "HEAD", "POST"}),
        ("PATCH", "/admin/accounts/ada", {"GET", "HEAD", "POST", "DELETE"}),
    ],
)
async def test_a_wrong_method_is_a_405_with_all_that_are_right(
    server: Inside, method: str, path: str, allowed: set[str]
) -> None:
    answer = await server.ask(method, path, key=server.admin_key)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == allowed
    if method != "HEAD":
        assert envelope(answer)["code"] == "method_not_allowed"


async def test_every_answer_has_an_id_of_its_own(server: Inside) -> None:
    answers = [await server.ask("GET", path) for path in ("/v1/models", "/nope", "/healthz")]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 3


async def test_no_browser_takes_an_answer_for_a_script(server: Inside) -> None:
    async with server.client() as client:
        answers = [
            await client.get(endpoint.path)
            for endpoint in server.worker.endpoints
            if endpoint.method == "GET"
        ]
        body = {"model": "tts-1", "voice": "alloy", "input": "Hello."}
        for more in ({}, {"stream_format": "sse"}, {"response_format": "json"}, {"response_format": "wav"}):
            answers.append(await client.post(SPEECH, json=body | {"model": "tone"} | more))
        answers += [await client.options("/v1/models"), await client.head("/"), await client.get("/nope")]
    kinds = {answer.headers.get("content-type", "").partition(";")[0] for answer in answers}
    assert {"text/html", "audio/mpeg", "text/event-stream", "application/json"} <= kinds
    sent = {tuple(answer.headers.get_list("x-content-type-options")) for answer in answers}
    assert sent == {("nosniff",)}


async def test_a_bad_host_header_or_query_is_no_crash(server: Inside) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    for host in (b"[", b"a:b:c", b"", b"x y", b"\xff"):
        sent.clear()
        headers = [(b"host", host), (b"authorization", f"Bearer {server.key}".encode())]
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/nope",
            "query_string": b"\xff=\xff",
            "headers": headers,
            "server": ("127.0.0.1", 8000),
        }
        await server.worker.public(scope, receive, send)
        assert sent[0]["status"] == 404, host


async def test_a_websocket_is_refused(server: Inside) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    for path in (SPEECH, "/v1/audio/speech/stream"):
        sent.clear()
        headers = [(b"authorization", f"Bearer {server.key}".encode())]
        scope = {"type": "websocket", "path": path, "query_string": b"", "headers": headers}
        await server.worker.public(scope, receive, send)
        assert [message["type"] for message in sent] == ["websocket.close"]


async def parts(count: int, size: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * size


async def test_a_body_too_large_is_a_413_declared_or_not(server: Inside) -> None:
    async with server.client() as client:
        declared = await client.post(SPEECH, content=b" " * (256 * 1024 + 1))
        chunked = await client.post(SPEECH, content=parts(257, 1024))
        just_fits = await client.post(SPEECH, content=parts(256, 1024))
    for answer in (declared, chunked):
        assert answer.status_code == 413
        assert envelope(answer)["code"] == "request_too_large"
    assert envelope(just_fits)["code"] == "invalid_json"


async def test_a_declared_length_is_believed_before_the_body_comes(server: Inside) -> None:
    async with server.client() as client:
        answer = await client.post(SPEECH, content=b"{}", headers={"content-length": "999999999"})
    assert answer.status_code == 413


@pytest.mark.parametrize("kind", ["multipart/mixed; boundary=x", "Multipart/Related; boundary=x"])
async def test_what_is_neither_json_nor_a_form_is_a_415(server: Inside, kind: str) -> None:
    async with server.client() as client:
        answer = await client.post(SPEECH, content=b"--x--", headers={"content-type": kind})
    assert answer.status_code == 415
    assert "application/json" in envelope(answer)["message"]


PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "x-stainless-os"}


async def test_browsers_are_refused_as_shipped(server: Inside) -> None:
    answer = await server.ask("OPTIONS", SPEECH, key="", origin="https://app.example", **PREFLIGHT)
    assert (answer.status_code, envelope(answer)["code"]) == (400, "cors_refused")
    assert "[server] cors_origins lists none" in envelope(answer)["message"]
    assert "access-control-allow-origin" not in answer.headers
    # What is no preflight lacks a key, as before.
    for headers in ({}, {"origin": "https://app.example"}):
        assert (await server.ask("OPTIONS", SPEECH, key="", **headers)).status_code == 401
