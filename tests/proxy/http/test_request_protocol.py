"""What comes in over a connection has limits. A client that breaks one gets an error in OpenAI's shape."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from starlette.types import Receive, Scope, Send

from proxy.http.request_protocol import MOST_HEAD_BYTES, MOST_HEAD_FIELDS, MOST_SENT_AHEAD
from proxy.http.server_protocol import ServerProtocol
from tests.proxy.api.inside import inside
from tests.proxy.http.sockets import Address, Patient, RawAnswer, ask, calling, serving
from tests.tables import each_row

SHORT_S = 0.4
WAIT_S = 10.0
SPEECH = b'{"model": "tone", "voice": "alloy", "input": "Hello."}'
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
LAST_HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Impatient(ServerProtocol):
    stall_s = 30.0
    least_bytes_per_s = 0
    head_s = SHORT_S
    body_s = SHORT_S


class Served(NamedTuple):
    address: Address
    key: str

    def head(self, *lines: str, path: str = "/v1/audio/speech", method: str = "POST") -> bytes:
        fields = (f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {self.key}", *lines)
        return "\r\n".join([*fields, "", ""]).encode()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with inside(tmp_path) as worker, serving(worker.worker.public, Patient) as address:
        yield Served(address, worker.key)


@pytest.fixture
async def impatient(tmp_path: Path) -> AsyncIterator[Served]:
    async with inside(tmp_path) as worker, serving(worker.worker.public, Impatient) as address:
        yield Served(address, worker.key)


@each_row(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nX: " + b"a" * (MOST_HEAD_BYTES + 1) + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nX: " + b"a" * (MOST_HEAD_BYTES * 4),
        b"GET /healthz?" + b"a" * (MOST_HEAD_BYTES + 1) + b" HTTP/1.1\r\n\r\n",
        b"GET /healthz?" + b"a" * (MOST_HEAD_BYTES * 4),
        b"GET /healthz HTTP/1.1\r\n" + b"X: 1\r\n" * (MOST_HEAD_FIELDS + 1) + b"\r\n",
        HEALTH + b"GET /healthz HTTP/1.1\r\nX: " + b"a" * (MOST_HEAD_BYTES + 1) + b"\r\n\r\n",
    ],
    ids=["field", "endless field", "url", "endless url", "many fields", "of the second request"],
)
async def test_a_head_that_is_too_large_is_a_431_and_the_end(served: Served, head: bytes) -> None:
    async with asyncio.timeout(WAIT_S), calling(served.address) as client:
        await client.send(head)
        answer = await client.answer()
        if head.startswith(HEALTH):
            assert answer.status == 200
            answer = await client.answer()
        assert (answer.status, answer.error["code"], answer.is_last) == (431, "head_too_large", True)
        assert await client.rest() == b""


async def test_a_head_just_within_its_limits_is_answered(served: Served) -> None:
    fields = b"".join(b"X%d: %b\r\n" % (number, b"a" * 250) for number in range(MOST_HEAD_FIELDS - 2))
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + fields + b"\r\n"
    async with asyncio.timeout(WAIT_S):
        assert (await ask(served.address, head)).status == 200
        assert (await ask(served.address, head[:20000], head[20000:])).status == 200


@each_row(
    ("request_line", "told"),
    [
        ("GET /v1/voices?describe=warm woman HTTP/1.1", "%20"),
        ("GET /v1/voices?describe=หญิง HTTP/1.1", "%C3%A9"),
        ("GET /v1/voices\x01 HTTP/1.1", "no valid HTTP"),
        ("CONNECT example.org:443 HTTP/1.1", "no valid HTTP"),
        ("HELLO", "no valid HTTP"),
        ("PRI * HTTP/2.0", "no valid HTTP"),
        ("GET http://[ HTTP/1.1", "no valid HTTP"),
    ],
)
async def test_what_is_no_http_is_a_400_of_ours(served: Served, request_line: str, told: str) -> None:
    async with asyncio.timeout(WAIT_S):
        answer = await ask(served.address, f"{request_line}\r\nHost: x\r\n\r\n".encode())
    assert (answer.status, answer.error["code"], answer.is_last) == (400, "invalid_http", True)
    assert told in answer.error["message"]
    assert answer.rest == b""


async def test_a_length_of_many_digits_is_a_400_that_names_the_header(served: Served) -> None:
    async with asyncio.timeout(WAIT_S):
        for digits in (13, 19, 5000):
            answer = await ask(served.address, served.head(f"Content-Length: {'0' * (digits - 1)}5"))
            assert answer.status == 400
            assert answer.is_last
        answer = await ask(served.address, served.head("Content-Length: 0000000000005"))
    assert answer.error["param"] == "Content-Length"


@pytest.mark.parametrize("sent", [b"GET /", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: "])
async def test_a_head_that_comes_too_slowly_is_a_408(impatient: Served, sent: bytes) -> None:
    async with asyncio.timeout(WAIT_S), calling(impatient.address) as client:
        await client.send(sent)
        dripping = asyncio.create_task(_drip(client.send))
        answer = await client.answer()
        dripping.cancel()
    assert (answer.status, answer.error["code"], answer.is_last) == (408, "request_timeout", True)


async def test_a_connection_that_says_nothing_is_closed_without_a_word(impatient: Served) -> None:
    async with asyncio.timeout(WAIT_S), calling(impatient.address) as client:
        assert await client.rest() == b""
    async with asyncio.timeout(WAIT_S), calling(impatient.address) as client:
        await client.send(b"\r\n")
        assert await client.rest() == b""


@pytest.mark.parametrize("framing", ["Content-Length: 50", "Transfer-Encoding: chunked"])
async def test_a_body_that_comes_too_slowly_is_a_408_and_the_end(impatient: Served, framing: str) -> None:
    async with asyncio.timeout(WAIT_S):
        answer = await ask(impatient.address, impatient.head(framing))
    assert (answer.status, answer.error["code"], answer.is_last) == (408, "request_timeout", True)
    assert answer.rest == b""


async def test_a_body_that_nobody_reads_does_not_hold_the_connection(impatient: Served) -> None:
    async with asyncio.timeout(WAIT_S):
        head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n"
        answer = await ask(impatient.address, head)
        assert (answer.status, answer.rest) == (200, b"")


async def test_a_slow_answer_is_not_cut_by_the_limits_of_its_request(tmp_path: Path) -> None:
    async def slow(_scope: Scope, _receive: Receive, send: Send) -> None:
        await asyncio.sleep(3 * SHORT_S)  # an engine that thinks
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async with asyncio.timeout(WAIT_S), serving(slow, Impatient) as address, calling(address) as client:
        # The first bytes of the next request may wait for as long as the answer takes.
        await client.send(HEALTH + b"GET /")
        assert (await client.answer()).body == b"ok"
        assert b" 408 " in await client.rest()


async def test_a_bad_request_sent_ahead_does_not_spoil_the_answer_before_it(served: Served) -> None:
    async with asyncio.timeout(WAIT_S), calling(served.address) as client:
        speech = served.head(f"Content-Length: {len(SPEECH)}") + SPEECH
        await client.send(speech + b"no HTTP\r\n\r\n")
        heard = await client.rest()
    head, _, rest = heard.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    audio, end, refusal = rest.partition(b"0\r\n\r\nHTTP/1.1 400 ")
    assert end
    assert b"HTTP/1.1" not in audio
    assert b"invalid_http" in refusal


async def test_a_body_that_is_no_http_is_a_400_from_the_endpoint(served: Served) -> None:
    async with asyncio.timeout(WAIT_S):
        answer = await ask(served.address, served.head("Transfer-Encoding: chunked"), b"5\r\nHello\r\nzz\r\n")
    assert (answer.status, answer.error["code"], answer.is_last) == (400, "invalid_http", True)


@pytest.mark.parametrize("piece", [b"a: b\r\n", b"a" * 1000], ids=["fields", "one field"])
async def test_fields_behind_a_body_have_a_limit(served: Served, piece: bytes) -> None:
    async with asyncio.timeout(WAIT_S), calling(served.address) as client:
        await client.send(served.head("Transfer-Encoding: chunked") + b"1\r\n{\r\n0\r\n")
        flooding = asyncio.create_task(_flood(client.send, piece))
        answer = await client.answer()
        flooding.cancel()
    assert (answer.status, answer.error["code"]) == (431, "head_too_large")


async def test_fields_behind_a_body_are_not_fields_of_the_request(tmp_path: Path) -> None:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        names = b",".join(name for name, _ in scope["headers"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": names})

    async with asyncio.timeout(WAIT_S), serving(echo, Patient) as address, calling(address) as client:
        await client.send(b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
        await client.send(b"Authorization: Bearer x\r\n\r\n")
        assert b"host,transfer-encoding" in (heard := await client.rest())
        assert b"authorization" not in heard


async def test_requests_that_are_sent_ahead_are_answered_in_order(served: Served) -> None:
    async with asyncio.timeout(WAIT_S), calling(served.address) as client:
        await client.send(HEALTH * (MOST_SENT_AHEAD - 1) + LAST_HEALTH)
        assert [(await client.answer()).status for _ in range(MOST_SENT_AHEAD)] == [200] * MOST_SENT_AHEAD
        assert await client.rest() == b""


async def test_too_many_requests_sent_ahead_are_a_429_behind_the_answers(served: Served) -> None:
    async with asyncio.timeout(WAIT_S), calling(served.address) as client:
        await client.send(HEALTH * 1000)
        answers: list[RawAnswer] = []
        while not answers or answers[-1].status == 200:
            answers.append(await client.answer())
        assert MOST_SENT_AHEAD <= len(answers) <= MOST_SENT_AHEAD + 3
        assert (answers[-1].status, answers[-1].error["code"]) == (429, "rate_limit_exceeded")
        assert await client.rest() == b""


async def test_a_request_for_another_protocol_is_answered_and_so_is_the_next(served: Served) -> None:
    upgrade = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    async with asyncio.timeout(WAIT_S), calling(served.address) as client:
        await client.send(upgrade + upgrade + LAST_HEALTH)
        assert [(await client.answer()).status for _ in range(3)] == [200] * 3
        assert await client.rest() == b""


OFFER = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA")


@pytest.mark.parametrize("chunks", [False, True], ids=["with a length", "in chunks"])
@pytest.mark.parametrize("pause", [False, True], ids=["at once", "after its head"])
async def test_a_body_behind_an_offer_of_another_protocol_is_read(
    served: Served, chunks: bool, pause: bool
) -> None:
    length = "Transfer-Encoding: chunked" if chunks else f"Content-Length: {len(SPEECH)}"
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SPEECH), SPEECH) if chunks else SPEECH
    head = served.head(*OFFER, length)
    pieces = (head, body[:9], body[9:]) if pause else (head + body,)
    async with asyncio.timeout(WAIT_S), calling(served.address) as client:
        for piece in pieces:
            await client.send(piece)
            await asyncio.sleep(0)
        answer = await client.rest()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close\r\n" in answer
    assert answer.endswith(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    "length", ["Content-Length: {}", "Transfer-Encoding: chunked", "Transfer-Encoding: x"]
)
async def test_a_request_hidden_in_the_body_of_an_offer_is_not_answered(served: Served, length: str) -> None:
    hidden = served.head(path="/v1/models", method="GET")
    head = served.head("Connection: Upgrade", "Upgrade: anything", length.format(len(hidden)))
    async with asyncio.timeout(WAIT_S), calling(served.address) as client:
        await client.send(head + hidden)
        answer = await client.answer()
        assert (answer.status, answer.is_last) == (400, True)
        assert answer.error["code"] in ("invalid_json", "invalid_http")
        assert await client.rest() == b""


async def test_what_follows_the_body_of_an_offer_is_not_answered(served: Served) -> None:
    head = served.head(*OFFER, "Content-Length: 2")
    async with asyncio.timeout(WAIT_S), calling(served.address) as client:
        await client.send(head + b"{}" + LAST_HEALTH + HEALTH)
        assert (await client.answer()).status == 400
        assert await client.rest() == b""


async def test_an_app_that_ends_without_an_answer_gives_our_500() -> None:
    async def broken(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"\n")]})

    async with asyncio.timeout(WAIT_S), serving(broken, Patient) as address:
        answer = await ask(address, HEALTH)
    assert (answer.status, answer.is_last) == (500, True)
    assert b'"internal_error"' in answer.body
    assert answer.headers["x-content-type-options"] == "nosniff"


async def _drip(send: Callable[[bytes], Awaitable[None]]) -> None:
    """A byte now and then, as slow attacks send them."""
    while True:
        await asyncio.sleep(SHORT_S / 4)
        await send(b"a")


async def _flood(send: Callable[[bytes], Awaitable[None]], piece: bytes) -> None:
    while True:
        await send(piece * 8)
        await asyncio.sleep(0)
