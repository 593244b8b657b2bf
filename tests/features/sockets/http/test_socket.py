"""WebSockets: who may open one, and what the others hear."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from proxy.errors import NotAllowed
from proxy.features.sockets.http.socket import ClientSocket, SocketEndpoint
from tests.features.sockets.http.socket_rig import ECHO, SocketPort, echo, socket_port
from tests.proxy.api.inside import TONE
from tests.proxy.http.sockets import RawAnswer, ask, calling
from tests.tables import each_row

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
OFFER = {
    "Host": "voxgate.test",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}


async def choosy(socket: ClientSocket) -> None:
    """Refuses before it accepts."""
    raise NotAllowed(f"Not {socket.path_params['name']} with {socket.query['a']}.", param="name")


ENDPOINTS = (SocketEndpoint(ECHO, echo, "echo"), SocketEndpoint("/v1/choosy/{name}", choosy, "choosy"))


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[SocketPort]:
    text = TONE.replace("[server]", '[server]\ncors_origins = ["https://page.test"]')
    async with socket_port(tmp_path, ENDPOINTS, text) as opened:
        yield opened


def handshake(port: SocketPort, path: str = ECHO, behind: bytes = b"", **fields: str | None) -> bytes:
    """The bytes of a handshake with the speech key. A field that is None is left out."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    sent = {**OFFER, "Authorization": f"Bearer {port.inside.key}", **named}
    lines = [f"{name}: {value}" for name, value in sent.items() if value is not None]
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode() + behind


async def first(port: SocketPort, request: bytes) -> RawAnswer:
    """The answer to a request, without waiting for the end of the connection."""
    async with calling(port.address) as client:
        await client.send(request)
        return await client.answer()


def said(answer: RawAnswer) -> tuple[int, str, str | None]:
    return answer.status, answer.error["code"], answer.error["param"]


async def test_messages_go_both_ways(port: SocketPort) -> None:
    async with port.connect() as client:
        assert client.response is not None
        assert client.response.headers["x-request-id"].startswith("req_")
        assert "sec-websocket-extensions" not in client.response.headers
        for message in ("hello", b"\x00\xff", "", "é" * 1000, "x" * 128 * 1024):
            await client.send(message)
            assert await client.recv() == message
        await client.send(["a", "b", "c"])
        assert await client.recv() == "abc"


@each_row(
    ("fields", "status", "code", "param"),
    [
        ({"Authorization": None}, 401, "invalid_api_key", None),
        ({"Authorization": "Bearer sk-wrong"}, 401, "invalid_api_key", None),
        ({"Authorization": None, "Cookie": "voxgate_session=x"}, 401, "invalid_api_key", None),
        ({"Origin": "https://other.test"}, 403, "cors_refused", "Origin"),
        ({"Origin": "https://voxgate.test.other.test"}, 403, "cors_refused", "Origin"),
        ({"Origin": "null"}, 403, "cors_refused", "Origin"),
        ({"Origin": "https://voxgate.test", "Host": "voxgate.test:80"}, 403, "cors_refused", "Origin"),
        ({"Origin": "https://voxgate.test", "Host": "voxgate.test:8443"}, 403, "cors_refused", "Origin"),
        ({"Sec-WebSocket-Version": "8"}, 426, "upgrade_required", None),
        ({"Sec-WebSocket-Key": None}, 426, "upgrade_required", None),
        ({"Sec-WebSocket-Key": "c2hvcnQ="}, 426, "upgrade_required", None),
        ({"Upgrade": None, "Connection": None}, 426, "upgrade_required", None),
        ({"Upgrade": "h2c"}, 426, "upgrade_required", None),
        ({"Connection": "close"}, 426, "upgrade_required", None),
        ({"Content-Length": "4"}, 426, "upgrade_required", None),
    ],
)
async def test_a_refusal_is_an_answer_over_http(
    port: SocketPort, fields: dict[str, Any], status: int, code: str, param: str | None
) -> None:
    answer = await first(port, handshake(port, **fields))
    assert said(answer) == (status, code, param)


async def test_what_has_no_socket_is_answered_as_ever(port: SocketPort) -> None:
    paths = {"/v1/nope": 404, "/v1/audio/speech": 405, "/v1/models": 200}
    answers = {path: (await first(port, handshake(port, path))).status for path in paths}
    assert answers == paths
    unknown = await first(port, handshake(port, "/v1/nope"))
    assert said(unknown) == (404, "unknown_url", None)
    speech = await first(port, handshake(port, "/v1/audio/speech"))
    assert speech.error["message"].endswith(" A WebSocket opens at /v1/audio/speech/stream.")
    required = await port.inside.ask("GET", ECHO)
    plain = await port.inside.ask("GET", "/v1/audio/speech")
    assert "WebSocket" not in plain.json()["error"]["message"]
    assert (required.status_code, required.headers["upgrade"]) == (426, "websocket")


async def test_a_key_in_the_url_opens_nothing(port: SocketPort) -> None:
    key = port.inside.key
    for query in (f"key={key}", f"api_key={key}", f"token={key}"):
        answer = await first(port, handshake(port, f"{ECHO}?{query}", Authorization=None))
        assert said(answer) == (401, "invalid_api_key", None)


async def test_a_handler_can_refuse_before_it_accepts(port: SocketPort) -> None:
    answer = await first(port, handshake(port, "/v1/choosy/ada?a=b"))
    assert said(answer) == (403, "not_allowed", "name")
    assert answer.error["message"] == "Not ada with b."


@each_row(
    ("origin", "host"),
    [
        ("https://page.test", "voxgate.test"),
        ("https://VOXGATE.test", "voxgate.test"),
        ("https://voxgate.test", "voxgate.test:443"),
        ("http://voxgate.test", "voxgate.test:80"),
        ("http://voxgate.test:8080", "voxgate.test"),
        ("http://voxgate.test:8080", "voxgate.test:8080"),
    ],
)
async def test_a_page_of_a_known_origin_may_connect(port: SocketPort, origin: str, host: str) -> None:
    async with calling(port.address) as client:
        await client.send(handshake(port, Origin=origin, Host=host))
        assert (await client.head()).startswith(b"HTTP/1.1 101 Switching Protocols\r\n")


async def test_a_browser_sends_its_key_as_a_subprotocol(port: SocketPort) -> None:
    offers = ["voxgate.v1", f"openai-insecure-api-key.{port.inside.key}"]
    for order in (offers, offers[::-1]):
        async with port.connect(key="", subprotocols=order) as client:
            assert client.subprotocol == "voxgate.v1"
            await client.send("hello")
            assert await client.recv() == "hello"
    with pytest.raises(InvalidStatus) as refused:
        async with port.connect(key="", subprotocols=["voxgate.v1", "openai-insecure-api-key.sk-wrong"]):
            pass
    assert refused.value.response.status_code == 401
    async with port.connect(subprotocols=["chat"]) as client:
        assert client.subprotocol is None


@pytest.mark.parametrize(
    "offers", [("voxgate.v1", "chat"), ("chat", "voxgate.v1"), ("chat", "a, voxgate.v1")]
)
async def test_subprotocols_may_come_in_several_headers(port: SocketPort, offers: tuple[str, ...]) -> None:
    lines = "".join(f"Sec-WebSocket-Protocol: {offer}\r\n" for offer in offers)
    request = handshake(port).replace(b"\r\n\r\n", b"\r\n" + lines.encode() + b"\r\n")
    async with calling(port.address) as client:
        await client.send(request)
        assert b"sec-websocket-protocol: voxgate.v1\r\n" in await client.head()


async def test_azures_header_and_path_open_a_socket(port: SocketPort) -> None:
    headers = {"api-key": port.inside.key}
    async with port.connect("/openai/v1/echo", key="", headers=headers) as client:
        await client.send("hello")
        assert await client.recv() == "hello"


async def test_bytes_behind_a_refused_handshake_do_not_lose_the_answer(port: SocketPort) -> None:
    for _ in range(20):
        flood = handshake(port, Authorization=None, behind=b"\x89\x80\x00\x00\x00\x00" * 40_000)
        assert said(await ask(port.address, flood)) == (401, "invalid_api_key", None)


async def test_frames_behind_a_good_handshake_are_messages(port: SocketPort) -> None:
    # A text of one letter, masked with zeros.
    async with calling(port.address) as client:
        await client.send(handshake(port, behind=b"\x81\x81\x00\x00\x00\x00h"))
        await client.head()
        assert await client.exactly(3) == b"\x81\x01h"


async def test_half_a_handshake_has_the_time_of_a_head(port: SocketPort) -> None:
    whole = handshake(port)
    async with calling(port.address) as client:
        await client.send(whole[:40])
        await asyncio.sleep(0)
        await client.send(whole[40:])
        assert (await client.head()).startswith(b"HTTP/1.1 101")


async def test_a_socket_opens_on_a_connection_that_has_answered(port: SocketPort) -> None:
    plain = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    async with calling(port.address) as client:
        for _ in range(200):
            await client.send(plain)
            assert (await client.answer()).status == 200
        await client.send(handshake(port))
        assert (await client.head()).startswith(b"HTTP/1.1 101")
    async with calling(port.address) as client:
        # Sent ahead of the answer: it becomes no socket.
        await client.send(plain + handshake(port))
        assert (await client.answer()).status == 200
        assert (await client.answer()).status == 426


async def test_a_handshake_is_counted_as_a_read(port: SocketPort) -> None:
    def requests() -> float:
        text = port.worker.metrics.page_text()
        return sum(float(line.split()[-1]) for line in text.splitlines() if 'route="/v1/echo"' in line)

    async with port.connect() as client:
        assert "voxgate_sockets 1.0" in port.worker.metrics.page_text()
        assert "voxgate_requests_in_flight 0.0" in port.worker.metrics.page_text()
        await client.send("bye")
        await client.wait_closed()
        assert client.close_code == 1000
    assert "voxgate_sockets 0.0" in port.worker.metrics.page_text()
    assert "voxgate_requests_in_flight 0.0" in port.worker.metrics.page_text()
    assert requests() == 1


async def test_without_a_list_of_origins_no_page_of_another_one_may_connect(tmp_path: Path) -> None:
    async with socket_port(tmp_path) as plain:
        assert plain.worker.kernel.config.server.cors_origins == ()
        answer = await first(plain, handshake(plain, Origin="https://other.test"))
    assert said(answer) == (403, "cors_refused", "Origin")
