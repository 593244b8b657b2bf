"""What surrounds every endpoint: keys first, then paths and methods, and one shape for every error."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from starlette.types import Message

from proxy.storage import api_key
from tests.proxy.api.inside import TONE, Inside, envelope, inside
from tests.tables import each_row

SPEECH = "/v1/audio/speech"


@each_row(
    ("path", "method"),
    [(SPEECH, "POST"), ("/v1/models", "GET"), ("/nope", "GET"), ("/admin/keys", "GET"), (SPEECH, "PUT")],
)
async def test_without_a_key_every_path_says_the_same(server: Inside, path: str, method: str) -> None:
    answer = await server.ask(method, path, key="")
    error = envelope(answer)
    assert (answer.status_code, error["code"], error["param"]) == (401, "invalid_api_key", None)
    assert "Authorization: Bearer" in error["message"]


@each_row(
    ("headers", "says"),
    [
        ({}, "You didn't provide an API key."),
        ({"xi-api-key": "KEY"}, "A key in the header 'xi-api-key' is not read here."),
        ({"x-api-key": "KEY"}, "A key in the header 'x-api-key' is not read here."),
        ({"authorization": "KEY"}, "The header 'Authorization' came without the word Bearer"),
        ({"authorization": "Token KEY"}, "The header 'Authorization' came without the word Bearer"),
        ({"authorization": "Bearer "}, "The header 'Authorization' came without the word Bearer"),
    ],
)
async def test_a_key_in_another_place_is_told_where_it_came_and_where_it_goes(
    server: Inside, headers: dict[str, str], says: str
) -> None:
    sent = {name: value.replace("KEY", server.key) for name, value in headers.items()}
    answer = await server.ask("GET", "/v1/models", key="", **sent)
    message = envelope(answer)["message"]
    assert message.startswith(says)
    assert message.endswith("Send it in the Authorization header: Authorization: Bearer YOUR_KEY.")
    assert server.key not in answer.text


@each_row(
    ("method", "path", "code"),
    [
        ("POST", "/openai/v1/audio/speech?api-version=preview", None),
        ("POST", "/openai/v1/audio/speech/", None),
        ("POST", "/openai/deployments/tts-1/audio/speech?api-version=2025-03-01-preview", None),
        ("GET", "/openai/v1/models", None),
        ("GET", "/openai/models?api-version=2024-10-21", None),
        ("POST", "/openai/deployments/none/audio/speech", "model_not_found"),
        ("POST", "/openai/deployments/a/b/audio/speech", "model_not_found"),
        ("GET", "/openai/v1/admin/keys", "unknown_url"),
        ("GET", "/openai/admin/keys", "unknown_url"),
        ("GET", "/openai/deployments/tts-1/admin/keys", "unknown_url"),
        ("GET", "/openai/openai/v1/models", "unknown_url"),
        ("GET", "/openai/deployments/tts-1/models", "unknown_url"),
        ("GET", "/openai", "unknown_url"),
        ("GET", "/openai/v1beta", "unknown_url"),
    ],
)
async def test_paths_of_azure_reach_v1_alone(
    server: Inside, method: str, path: str, code: str | None
) -> None:
    body = {"voice": "alloy", "input": "Hello."} | ({} if "deployments" in path else {"model": "tts-1"})
    answer = await server.ask(method, path, key="", body=body, **{"api-key": server.admin_key})
    assert (None if answer.is_success else envelope(answer)["code"]) == code
    assert (await server.ask(method, path, key="", body=body)).status_code == 401


async def test_a_model_in_the_body_comes_before_the_deployment_in_the_path(server: Inside) -> None:
    path, body = "/openai/deployments/none/audio/speech", {"voice": "alloy", "input": "Hello."}
    assert (await server.ask("POST", path, body=body | {"model": "tts-1"})).status_code == 200
    key = {"idempotency-key": "one"}
    first = await server.ask("POST", path.replace("none", "tone"), body=body, **key)
    other = await server.ask("POST", path.replace("none", "tts-1"), body=body, **key)
    assert (first.status_code, other.status_code) == (200, 422)


async def test_a_wrong_key_is_refused_before_the_path_is_looked_at(server: Inside) -> None:
    secret = api_key.mint().reveal()
    answer = await server.ask("GET", "/nope", key=secret)
    error = envelope(answer)
    assert (answer.status_code, error["code"]) == (401, "invalid_api_key")
    assert error["message"].startswith("Incorrect API key provided")
    assert secret not in answer.text


@each_row("path", ["/nope", "/audio/speech", "/v1/v1/audio/speech", "/v1/embeddings", "/v1/nope?x=1"])
async def test_an_unknown_path_is_a_404_that_names_the_base_url(server: Inside, path: str) -> None:
    answer = await server.ask("POST", path, body={"input": "private words"})
    error = envelope(answer)
    assert (answer.status_code, error["code"]) == (404, "unknown_url")
    assert f"POST {path.partition('?')[0]}." in error["message"]
    assert "http://voxgate.test/v1" in error["message"]


@each_row(
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


_MAY_BE_STORED = {"/": "no-cache", "/docs": "no-cache", "/console": "public, max-age=31536000, immutable"}


async def test_no_answer_is_stored_but_those_that_say_so(server: Inside) -> None:
    """A manifest of a mark is the third, which this server has not: tests/features/marks has it."""
    page = await server.ask("GET", "/", key="", accept="text/html")
    build = page.text.partition("console/")[2].partition('"')[0]
    answers = {"/": page, "/console": await server.ask("GET", f"/console/{build}", key="")}
    for role in (server.key, server.admin_key, ""):
        for each in server.worker.endpoints:
            path = each.path.replace("{id:path}", "x")
            answers[f"{role}{each.method} {path}"] = await server.ask(each.method, path, key=role)
    answers["/docs"] = answers.pop("GET /docs")
    answers = {name: each for name, each in answers.items() if not name.endswith("GET /docs")}
    for more in ({}, {"stream_format": "sse", "model": "tone"}, {"response_format": "wav"}):
        answers[f"speech {more}"] = await server.speech(**more)
    answers["preflight"] = await server.ask("OPTIONS", "/v1/models", key="")
    stored = {name: each.headers.get_list("cache-control") for name, each in answers.items()}
    assert {name: value for name, value in stored.items() if value != ["no-store"]} == {
        name: [value] for name, value in _MAY_BE_STORED.items()
    }


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


async def test_each_request_of_a_page_has_one_line_in_the_log(tmp_path: Path) -> None:
    page = "https://app.example"
    async with inside(tmp_path, TONE.replace("[server]", f'[server]\ncors_origins = ["{page}"]')) as server:
        with structlog.testing.capture_logs() as lines:
            for method, path, headers in (
                ("OPTIONS", SPEECH, PREFLIGHT),
                ("GET", "/v1/models", {}),
                ("GET", "/nope", {}),
            ):
                await server.ask(method, path, origin=page, **headers)
        finished = [line for line in lines if line["event"] == "request.finished"]
        assert [(line["method"], line["status"]) for line in finished] == [
            ("OPTIONS", 200),
            ("GET", 200),
            ("GET", 404),
        ]
        assert server.worker.metrics.in_flight == 0
