"""What surrounds every endpoint: keys first, then paths and methods, and one shape for every error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from starlette.types import Message

from proxy.storage import api_key
from tests.proxy.api.inside import TONE, Inside, envelope, inside

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


@pytest.mark.parametrize("header", ["Bearer ", "Bearer", "", "Basic abc", "Bearer \t"])
async def test_a_blank_or_foreign_authorization_is_no_key(server: Inside, header: str) -> None:
    answer = await server.ask("GET", "/v1/models", key="", authorization=header)
    assert answer.status_code == 401
    assert "didn't provide" in envelope(answer)["message"]


async def test_a_wrong_key_is_refused_before_the_path_is_looked_at(server: Inside) -> None:
    secret = api_key.mint().reveal()
    answer = await server.ask("GET", "/nope", key=secret)
    error = envelope(answer)
    assert (answer.status_code, error["code"]) == (401, "invalid_api_key")
    assert error["message"].startswith("Incorrect API key provided")
    assert secret not in answer.text


@pytest.mark.parametrize("scheme", ["Bearer {}", "bearer {}", "BEARER   {} "])
async def test_the_scheme_is_read_in_any_case_and_blanks_are_stripped(server: Inside, scheme: str) -> None:
    answer = await server.ask("GET", "/v1/models", key="", authorization=scheme.format(server.key))
    assert answer.status_code == 200


async def test_azures_header_is_a_key_too(server: Inside) -> None:
    answer = await server.ask("GET", "/v1/models?api-version=2024-02-01", key="", **{"api-key": server.key})
    assert answer.status_code == 200


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


@pytest.mark.parametrize("path", ["/v1/models", "/v1/audio/voices", "/", "/v1", "/healthz", "/readyz"])
async def test_head_answers_what_get_would_without_a_body(server: Inside, path: str) -> None:
    answers = [await server.ask(method, path) for method in ("GET", "HEAD")]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content
    assert not answers[1].content
    assert answers[0].headers["content-length"] == answers[1].headers["content-length"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/healthz", "/health", "/readyz", "/healthz/"])
async def test_some_paths_are_open_to_all(server: Inside, method: str, path: str) -> None:
    assert (await server.ask(method, path, key="")).status_code == 200


async def test_the_root_tells_the_base_url(server: Inside) -> None:
    for path in ("/", "/v1/"):
        welcome = (await server.ask("GET", path, key="")).json()
        assert welcome["base_url"] == "http://voxgate.test/v1"


async def test_a_trailing_slash_is_answered_in_place(server: Inside) -> None:
    listed = await server.ask("GET", "/v1/models/")
    spoken = await server.ask(
        "POST", SPEECH + "/", body={"model": "tts-1", "voice": "alloy", "input": "Hello."}
    )
    assert [listed.status_code, spoken.status_code] == [200, 200]


async def test_every_answer_has_an_id_of_its_own(server: Inside) -> None:
    answers = [await server.ask("GET", path) for path in ("/v1/models", "/nope", "/healthz")]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 3


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


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/octet-stream", "application/json; charset=utf-8"]
)
async def test_json_is_read_whatever_it_is_labelled(server: Inside, kind: str) -> None:
    body = b'{"model": "tts-1", "voice": "alloy", "input": "Hello."}'
    async with server.client() as client:
        answer = await client.post(
            SPEECH, content=body, headers={"content-type": kind, "accept": "image/png"}
        )
    assert answer.status_code == 200


async def test_a_speech_key_may_not_administer(server: Inside) -> None:
    for path in ("/admin/accounts", "/admin/keys", "/admin/nope", "/admin"):
        answer = await server.ask("GET", path)
        error = envelope(answer)
        assert (answer.status_code, error["type"], error["code"]) == (403, "permission_error", "not_allowed")


PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "x-stainless-os"}


async def preflight(opened: Inside, origin: str) -> httpx2.Response:
    return await opened.ask("OPTIONS", SPEECH, key="", origin=origin, **PREFLIGHT)


async def test_browsers_are_refused_as_shipped(server: Inside) -> None:
    answer = await preflight(server, "https://app.example")
    assert (answer.status_code, envelope(answer)["code"]) == (400, "cors_refused")
    assert "[server] cors_origins lists none" in envelope(answer)["message"]
    assert "access-control-allow-origin" not in answer.headers
    # What is no preflight lacks a key, as before.
    for headers in ({}, {"origin": "https://app.example"}):
        assert (await server.ask("OPTIONS", SPEECH, key="", **headers)).status_code == 401


async def test_browsers_of_a_configured_origin_may_ask(tmp_path: Path) -> None:
    config = TONE.replace("[server]", '[server]\ncors_origins = ["https://app.example"]')
    async with inside(tmp_path, config) as server:
        allowed = await preflight(server, "https://app.example")
        other = await preflight(server, "https://evil.example")
        refused = await server.ask("GET", "/v1/models", key="", origin="https://app.example")
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "https://app.example"
    assert "x-stainless-os" in allowed.headers["access-control-allow-headers"]
    assert "access-control-allow-origin" not in other.headers
    assert allowed.content == b""
    assert (other.status_code, envelope(other)["code"]) == (400, "cors_refused")
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "https://app.example"
    exposed = refused.headers["access-control-expose-headers"].split(", ")
    assert {"x-request-id", "retry-after", "x-ratelimit-remaining-requests"} <= set(exposed)
