"""An answer is the same wherever its bytes are split, and no bytes at all do more than fail."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.engines.http.http1_connection import _MOST_HELD_BYTES as MOST_HELD
from proxy.engines.http.http1_connection import Http1Answer, Http1Connection
from proxy.engines.http.http1_request import Origin
from speech_engine import EngineError, EngineFailed, EngineTimeout
from tests.proxy.engines.servers import answer, begun
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row

BODY = bytes(range(256)) * 3
CHUNKS = b"".join(
    b"%x;n=%d\r\n%b\r\n" % (len(piece), 1, piece) for piece in (BODY[:1], BODY[1:300], BODY[300:])
)
ANSWERS = {
    "a length": answer(BODY, "200 OK", "X-Trace: a"),
    "chunks": b"HTTP/1.1 200 OK\r\nx-trace: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    + CHUNKS
    + b"0\r\nx-sum: 1\r\n\r\n",
    "100 first": b"HTTP/1.1 100 Continue\r\nx: y\r\n\r\n" + answer(BODY, "200 OK", "x-trace: a"),
    "up to the end": b"HTTP/1.1 200 OK\r\nx-trace:  a \r\n\r\n" + BODY,
}
WORDS = st.sampled_from(
    [
        *(
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 100 C\r\n",
            b"HTTP/1.0 204 N\r\n",
            b"\r\n",
            b"\r\n\r\n",
            b"\n",
            b" ",
            b"0",
        ),
        *(
            b"content-length: 5\r\n",
            b"content-length: ",
            b"transfer-encoding: chunked\r\n",
            b"connection: close\r\n",
        ),
        *(
            b"5\r\nhello\r\n",
            b"0\r\n\r\n",
            b"ffff;a\r\n",
            b"content-encoding: gzip\r\n",
            b"upgrade: h2c\r\n",
            b"hello",
        ),
    ]
)


class Wire(asyncio.Transport):
    """A transport without a socket: it knows whether it was closed, and whether it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.is_closed = False
        self.reads = True
        self.unsent = 0

    def write(self, data: bytes | bytearray | memoryview) -> None: ...

    def abort(self) -> None:
        self.is_closed = True

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


class Owner:
    """The pool's side: counts what it is told."""

    def __init__(self) -> None:
        self.exchanges_ended = 0

    def end_exchange(self, _connection: Http1Connection) -> None:
        self.exchanges_ended += 1

    def forget_idle(self, _connection: Http1Connection) -> None: ...

    def forget(self, _connection: Http1Connection) -> None: ...


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


async def _hear(pieces: list[bytes]) -> tuple[Http1Answer, bytes]:
    wire, owner = Wire(), Owner()
    loop = asyncio.get_running_loop()
    connection = Http1Connection(loop, owner, Origin("http", "a", 80))
    connection.connection_made(wire)
    found = connection.begin(b"", silence_s=5.0)
    reading = asyncio.ensure_future(_read(found, loop.time() + 5.0))
    for piece in pieces:
        await asyncio.sleep(0)
        if not wire.is_closed:
            connection.data_received(piece)
    await asyncio.sleep(0)
    if not wire.is_closed:
        connection.eof_received()
    connection.connection_lost(None)
    try:
        return found, await reading
    finally:
        assert wire.is_closed
        assert owner.exchanges_ended == 1


async def _read(found: Http1Answer, deadline: float) -> bytes:
    await found.wait_for_head(deadline)
    return await found.read()


def _split(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if start < end]


@pytest.mark.parametrize("name", ANSWERS)
@given(places=st.lists(st.integers(0, 2000), max_size=12))
def test_an_answer_is_the_same_wherever_it_is_split(
    runner: asyncio.Runner, name: str, places: list[int]
) -> None:
    found, body = runner.run(_hear(_split(ANSWERS[name], places)))
    assert (found.status, found.headers["x-trace"], body) == (200, "a", BODY)


@each_row("name", ANSWERS)
def test_an_answer_may_come_byte_by_byte(runner: asyncio.Runner, name: str) -> None:
    found, body = runner.run(_hear([bytes([byte]) for byte in ANSWERS[name]]))
    assert (found.status, found.headers["x-trace"], body) == (200, "a", BODY)
    assert "x" not in found.headers, "it is of an answer before this one"


@each_row("name", [name for name in ANSWERS if name != "up to the end"])
def test_an_answer_that_is_cut_anywhere_is_never_whole(runner: asyncio.Runner, name: str) -> None:
    data = ANSWERS[name]
    for end in range(len(data)):
        with pytest.raises(EngineError):
            runner.run(_hear([data[:end]]))


@settings(deadline=None)
@given(pieces=st.lists(st.one_of(WORDS, st.binary(max_size=40)), max_size=30))
def test_no_bytes_do_more_than_fail(runner: asyncio.Runner, pieces: list[bytes]) -> None:
    with suppress(EngineError):
        runner.run(_hear(pieces))


def _asked() -> tuple[Wire, Http1Connection, Http1Answer]:
    """A connection whose request is under way."""
    wire = Wire()
    connection = Http1Connection(asyncio.get_running_loop(), Owner(), Origin("http", "a", 80))
    connection.connection_made(wire)
    return wire, connection, connection.begin(b"", silence_s=5.0)


@pytest.mark.parametrize("unsent", [0, 1])
async def test_a_connection_with_a_request_half_sent_is_not_used_again(unsent: int) -> None:
    wire, connection, _ = _asked()
    wire.unsent = unsent
    connection.data_received(answer(BODY))
    assert connection.is_open == (not unsent)
    connection.abort("the test is over")


async def test_what_was_read_is_not_held_any_more() -> None:
    wire, connection, found = _asked()
    connection.data_received(begun(1000 * MOST_HELD))
    reads = []
    for more in (0, 0, 1, 0):
        connection.data_received(bytes(MOST_HELD + more))
        reads.append(wire.reads)
        assert await found.next_piece()
    assert reads == [True, True, False, True]
    connection.abort("the test is over")


async def test_an_answer_may_be_as_long_as_it_may_be() -> None:
    for most_bytes in (len(BODY), len(BODY) - 1):
        _, connection, found = _asked()
        connection.data_received(answer(BODY))
        connection.abort("the test is over")
        if most_bytes == len(BODY):
            assert await found.read(most_bytes) == BODY
        else:
            with pytest.raises(EngineFailed, match="longer than any"):
                await found.read(most_bytes)


@each_row(
    ("piece", "every_s", "seconds", "is_whole"),
    [
        (b"A", 1.0, 300.0, False),
        (b"A" * 12, 1.0, 300.0, False),
        (b": it still works\n\n", 1.0, 300.0, True),
        (b"A" * 1000, 1.0, 300.0, True),  # 8 kbit/s, as it is heard
        (b"A" * 64, 4.9, 300.0, True),
    ],
)
@simulated
async def test_an_answer_that_crawls_is_silence_and_one_as_slow_as_it_is_heard_is_none(
    piece: bytes, every_s: float, seconds: float, is_whole: bool
) -> None:
    """A silence may last five seconds."""
    _, connection, found = _asked()
    count = int(seconds / every_s)
    connection.data_received(begun(len(piece) * count))

    async def send() -> None:
        for _ in range(count):
            await asyncio.sleep(every_s)
            connection.data_received(piece)

    sending, began = asyncio.create_task(send()), time.monotonic()
    try:
        while await found.next_piece():
            pass
        assert is_whole
    except EngineTimeout:
        assert not is_whole
        assert time.monotonic() - began <= 5.1
    finally:
        sending.cancel()
        await asyncio.wait([sending])
        connection.abort("the test is over")


@simulated
async def test_an_answer_that_is_read_as_a_whole_comes_at_some_speed() -> None:
    for bytes_a_second, is_whole in ((1000, False), (1024 * 1024, True)):
        _, connection, found = _asked()
        connection.data_received(begun(30 * bytes_a_second))

        async def send(connection: Http1Connection = connection, size: int = bytes_a_second) -> None:
            for _ in range(30):
                await asyncio.sleep(1.0)
                connection.data_received(bytes(size))

        sending, began = asyncio.create_task(send()), time.monotonic()
        if is_whole:
            assert len(await found.read(64 * 1024 * 1024)) == 30 * bytes_a_second
        else:
            with pytest.raises(EngineTimeout, match="too slowly"):
                await found.read()
            assert time.monotonic() - began <= 6.1
        sending.cancel()
        await asyncio.wait([sending])
        connection.abort("the test is over")
