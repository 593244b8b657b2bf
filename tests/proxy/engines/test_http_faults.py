"""What a provider may do wrong on its wire, and what comes of it: one table."""

import asyncio
from typing import NamedTuple

import pytest

from proxy.config.sections import Upstream
from proxy.engines.http import http1_connection
from proxy.engines.http.upstream_http import UpstreamClient, open_http
from speech_engine import EngineError, EngineFailed, EngineTimeout, HttpRequest
from tests.proxy.engines.servers import Act, answer, bare
from tests.tables import each_row
from tests.waiting import soon

pytestmark = pytest.mark.slow

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
MEGABYTE = 1_000_000

Outcome = tuple[int, bytes] | type[EngineError]


class Row(NamedTuple):
    """`acts` answer each request; then the connection ends, or stays open (`stays`). `reused`: whether the
    next request may go the same way. Only what is about time has little of it: the machine may be busy."""

    name: str
    acts: list[Act]
    outcome: Outcome
    stays: bool = True
    reused: bool = False
    within_s: float = 20.0
    silence_s: float = 20.0


def _ended(name: str, acts: list[Act], outcome: Outcome) -> Row:
    return Row(name, acts, outcome, stays=False)


def _well(name: str, data: bytes, body: bytes = b"ab", *, reused: bool = True) -> Row:
    return Row(name, [data], (200, body), reused=reused)


def _bad(name: str, data: bytes) -> Row:
    return Row(name, [data], EngineFailed)


def _late(name: str, acts: list[Act]) -> Row:
    return Row(name, acts, EngineTimeout, within_s=0.4, silence_s=0.3)


def _dripping(begin: bytes, drop: bytes, count: int) -> list[Act]:
    drops: list[Act] = [0.05, drop]
    return [begin, *drops * count]


ROWS = [
    _well("a length", OK + b"content-length: 2\r\n\r\nab"),
    _well("chunks", CHUNKED + b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n"),
    _well("chunk extensions", CHUNKED + b'2;a=b;c="d"\r\nab\r\n0;e\r\n\r\n'),
    _well("blanks behind a chunk's size", CHUNKED + b"2  \r\nab\r\n0\r\n\r\n"),
    _well("trailers", CHUNKED + b"2\r\nab\r\n0\r\nx-sum: 7\r\nx-end: 8\r\n\r\n"),
    _well("100 first", b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"ab")),
    _well("103 with headers first", b"HTTP/1.1 103 Hints\r\nlink: a\r\n\r\n" * 3 + answer(b"ab")),
    _well("connection: close", answer(b"ab", "200 OK", "connection: close"), reused=False),
    _well("HTTP/1.0", b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nab", reused=False),
    _well(
        "HTTP/1.0 that is kept", b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nab"
    ),
    _well("no words behind the status", b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nab"),
    _well("lines without CR", b"HTTP/1.1 200 OK\ncontent-length: 2\n\nab"),
    _well("identity named", answer(b"ab", "200 OK", "content-encoding: identity")),
    _ended("a body up to the end", [OK + b"\r\na", 0.02, b"b"], (200, b"ab")),
    _ended("half-closed after the answer", [answer(b"ab")], (200, b"ab")),
    Row("204", [b"HTTP/1.1 204 No\r\n\r\n"], (204, b""), reused=True),
    Row("304 with a length", [b"HTTP/1.1 304 No\r\ncontent-length: 2\r\n\r\n"], (304, b""), reused=True),
    Row("204 with a body", [b"HTTP/1.1 204 No\r\ncontent-length: 2\r\n\r\nab"], (204, b"")),
    _well("more than its length", answer(b"ab") + b"cde", reused=False),
    _well("a second answer at once", answer(b"ab") + answer(b"cd"), reused=False),
    Row("a second answer later", [answer(b"ab"), 0.02, answer(b"cd")], (200, b"ab")),
    _ended("ended before a byte", [], EngineFailed),
    _ended("ended in the status", [b"HTTP/1."], EngineFailed),
    _ended("ended in the headers", [OK + b"content-le"], EngineFailed),
    _ended("ended behind 100", [b"HTTP/1.1 100 Continue\r\n\r\n"], EngineFailed),
    _ended("ended in the body", [OK + b"content-length: 3\r\n\r\nab"], EngineFailed),
    _ended("ended in a chunk", [CHUNKED + b"5\r\nab"], EngineFailed),
    _ended("ended between chunks", [CHUNKED + b"2\r\nab\r\n"], EngineFailed),
    _ended("ended in the trailers", [CHUNKED + b"2\r\nab\r\n0\r\nx-su"], EngineFailed),
    _bad("no HTTP", b"\x00\xff\r\n\r\n"),
    _bad("a status without digits", b"HTTP/1.1 abc\r\n\r\n"),
    _bad("a status of four digits", b"HTTP/1.1 2000 OK\r\n\r\n"),
    _bad("HTTP/9.9", b"HTTP/9.9 200 OK\r\n\r\n"),
    _bad("101 that nobody asked for", b"HTTP/1.1 101 Up\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nabc"),
    _bad("two lengths", OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\nab"),
    _bad("a length and chunks", OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    _bad("a length below nothing", OK + b"content-length: -2\r\n\r\nab"),
    _bad("a length past counting", OK + b"content-length: 99999999999999999999999\r\n\r\nab"),
    _bad("a chunk without a size", CHUNKED + b"zz\r\nab\r\n0\r\n\r\n"),
    _bad("a chunk past counting", CHUNKED + b"fffffffffffffffff\r\nab\r\n0\r\n\r\n"),
    _bad("a chunk below nothing", CHUNKED + b"-2\r\nab\r\n0\r\n\r\n"),
    _bad("a chunk longer than its size", CHUNKED + b"2\r\nabcdef\r\n0\r\n\r\n"),
    _bad("a header without a colon", OK + b"what\r\n\r\n"),
    _bad("gzip", answer(b"\x1f\x8b", "200 OK", "content-encoding: gzip")),
    _bad("gzip as transfer", OK + b"transfer-encoding: gzip, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
    _bad("many headers", OK + b"".join(b"x-%d: a\r\n" % number for number in range(MEGABYTE // 50))),
    _bad("300 headers", OK + b"content-length: 0\r\n" + b"x: a\r\n" * 300 + b"\r\n"),
    _bad("a long header", OK + b"x: " + b"a" * MEGABYTE + b"\r\n\r\n"),
    _bad("a header without an end", OK + b"x: " + b"a" * MEGABYTE),
    _bad("100 without an end", b"HTTP/1.1 100 Continue\r\n\r\n" * (MEGABYTE // 25)),
    _bad("a trailer without an end", CHUNKED + b"2\r\nab\r\n0\r\nx: " + b"a" * MEGABYTE),
    _bad("a chunk extension without an end", CHUNKED + b"2;" + b"a" * MEGABYTE),
    _late("silence", [60.0]),
    _late("silence in the headers", [OK, 60.0]),
    _late("silence in the body", [OK + b"content-length: 3\r\n\r\na", 60.0]),
    _late("silence between chunks", [CHUNKED + b"1\r\na\r\n", 60.0]),
    _late("headers that drip", _dripping(OK, b"x: a\r\n", 40)),
    Row(
        "a drip",
        _dripping(OK + b"content-length: 9\r\n\r\n", b"x", 9),
        (200, b"x" * 9),
        reused=True,
        within_s=0.4,
    ),
]


async def outcome_of(client: UpstreamClient, request: HttpRequest) -> Outcome:
    try:
        async with client.send(request) as found:
            return found.status, await found.read()
    except EngineError as error:
        return type(error)


@each_row("row", ROWS, ids=[row.name for row in ROWS])
async def test_a_fault_on_the_wire_has_its_outcome(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    # An idle connection would close by itself.
    monkeypatch.setattr(http1_connection, "_IDLE_S", 3600.0)
    async with bare(*row.acts, ends=not row.stays) as server, open_http(Upstream()) as client:
        request = HttpRequest(
            method="POST", url=server.url, body=b"x", within_s=row.within_s, silence_s=row.silence_s
        )
        assert await outcome_of(client, request) == row.outcome
        if not row.reused:
            await soon(lambda: server.open == 0)
            # The other half of the connection has its turn, too.
            await asyncio.sleep(0.01)
        assert await outcome_of(client, request) == row.outcome
        assert server.connections == (1 if row.reused else 2)
        # Once each: a request that may have been charged for is not sent again.
        assert len(server.heads) == 2
