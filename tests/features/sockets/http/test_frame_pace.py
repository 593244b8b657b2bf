"""How fast frames are read, and when a silent socket ends, in simulated time. The transport is a fake."""

import asyncio
import itertools
from contextlib import suppress
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from proxy.access.callers import Caller
from proxy.errors import ClientLeft
from proxy.features.sockets.http.frame_pace import (
    ACCOUNT_FRAMES_PER_S,
    FREE_FRAMES_PER_S,
    FREE_SOCKET_FRAMES_PER_S,
    WORKER_FRAMES_PER_S,
    FramePace,
)
from proxy.features.sockets.http.socket import IDLE_S, ClientSocket
from proxy.features.sockets.http.socket_protocol import MESSAGE_FRAGMENTS, SocketProtocol
from proxy.http.connection import PEER
from proxy.http.server_protocol import ServerProtocol
from proxy.http.upgrade import UPGRADE
from tests.features.sockets.http.socket_rig import frame
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row

PING, LETTER = frame(0x89), frame(0x81, b"a")
TEXT, MORE = frame(0x01, b"a"), frame(0x00, b"a")
ENDS = {
    frame(0x88): "a close",
    frame(0x88, b"\x03\xe8"): "a close with a code",
    frame(0x88, b"a"): "a wrong close",
    frame(0x81, b"\xff"): "a text that is no UTF-8",
    frame(0x01, b"\xff") + frame(0x80): "such a text of two fragments",
    TEXT + MORE * MESSAGE_FRAGMENTS: "too many fragments",
    frame(0x83): "an unknown frame",
    b"\x81\x01a": "a frame without a mask",
    frame(0x80): "a fragment of nothing",
}


class Wire(asyncio.Transport):
    """A connection without a network. What a flooding client would send is read while reading goes on."""

    def __init__(self) -> None:
        super().__init__({"socket": _NoSocket()})
        self.sent = b""
        self.unsent = 0
        self.is_paused = self.is_over = self.has_ended = False
        self.answers_pings = True
        self.flood = b""
        self.protocol: Any = None

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def write(self, data: Any) -> None:
        if self.has_ended:
            raise RuntimeError("Cannot call write() after write_eof()")  # as uvloop does
        self.sent += data
        if self.answers_pings and data[:2] == b"\x89\x04":
            asyncio.get_running_loop().call_soon(self.protocol.data_received, frame(0x8A, data[2:]))

    def write_eof(self) -> None:
        self.has_ended = True

    def is_closing(self) -> bool:
        return self.is_over

    def close(self) -> None:
        if not self.is_over:
            self.is_over = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False
        if self.flood:
            asyncio.get_running_loop().call_soon(self.more)

    def more(self) -> None:
        while self.flood and not self.is_paused and not self.is_over:
            self.protocol.data_received(self.flood)


class _NoSocket:
    """No socket of TCP, so nothing is known of what has left."""

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", 1

    getpeername = getsockname

    def setsockopt(self, *_: int) -> None:
        raise OSError

    def getsockopt(self, *_: int) -> bytes:
        raise OSError


class Client:
    """A client of the worker whose pace is given. `read` counts the frames that were read."""

    def __init__(self, pace: FramePace, account: str = "ada") -> None:
        self.wire = Wire()
        server = uvicorn.Config(_no_app, interface="asgi3", ws="none", lifespan="off", log_config=None)
        server.load()
        self.protocol = _Counting(server, ServerState(), 0, account, pace)
        self.protocol.stall_s, self.protocol.least_bytes_per_s = 30.0, 0
        self.protocol.news = asyncio.Event()
        self.protocol.continue_on(self.wire, bytearray(), is_behind=False)

    @property
    def read(self) -> int:
        return self.protocol.count

    def flood(self, data: bytes) -> None:
        self.wire.flood = data * (65536 // len(data))
        self.wire.more()

    async def take_messages(self) -> None:
        while True:
            await self.protocol.receive()


class _Counting(SocketProtocol):
    news: asyncio.Event
    count = 0
    fails = False

    def handle_events(self) -> None:
        if self.fails:
            raise LookupError
        self.count += len(self.conn.events)
        self.news.set()
        super().handle_events()


class _Brief:
    """A reader of all frames that a socket may read without a wait."""

    account = "ada"

    def __init__(self) -> None:
        self.pace_key = object()

    def read_some(self, most_bytes: int) -> int:
        return FREE_SOCKET_FRAMES_PER_S

    def read_on(self) -> None:
        raise AssertionError("it never waits")


async def _no_app(_scope: Any, _receive: Any, _send: Any) -> None:
    raise AssertionError


@simulated
async def test_a_flood_of_pings_waits_and_is_not_closed() -> None:
    client = Client(FramePace())
    client.flood(PING)
    await asyncio.sleep(10.0)
    before = client.read
    assert 2000 <= before <= 2000 + 10 * 400 + 700
    await asyncio.sleep(60.0)
    assert abs(client.read - before - 60 * 400) <= 1400
    assert not client.wire.is_over
    assert len(client.protocol._unread_bytes) <= 65536


@simulated
async def test_messages_are_read_as_the_handler_takes_them() -> None:
    client = Client(FramePace())
    client.flood(LETTER)
    await asyncio.sleep(5.0)
    # A turn of 4 KiB, and no more until the handler has taken its messages.
    assert client.read <= 700
    assert client.wire.is_paused
    taking = asyncio.create_task(client.take_messages())
    await asyncio.sleep(60.0)
    assert abs(client.read - 2000 - 60 * 400) <= 2100
    taking.cancel()
    await asyncio.wait([taking])


@simulated
async def test_an_account_reads_2000_frames_a_second_with_all_its_sockets() -> None:
    pace = FramePace()
    clients = [Client(pace) for _ in range(20)]
    for client in clients:
        client.flood(PING)
    await asyncio.sleep(5.0)
    before = [client.read for client in clients]
    await asyncio.sleep(10.0)
    read = [client.read - each for client, each in zip(clients, before, strict=True)]
    assert abs(sum(read) - 10 * ACCOUNT_FRAMES_PER_S) <= ACCOUNT_FRAMES_PER_S
    assert min(read) >= max(read) / 3


@each_row("each_s", [0.05, 0.02])
@simulated
async def test_of_an_account_that_floods_a_socket_with_few_frames_is_read_within_20_ms(each_s: float) -> None:
    pace, loop, waits = FramePace(), asyncio.get_running_loop(), list[float]()
    clients = [Client(pace) for _ in range(20)]
    taking = [asyncio.create_task(client.take_messages()) for client in clients]
    for client in clients:
        client.flood(LETTER)
    await asyncio.sleep(3.0)
    few = Client(pace)
    for number in range(200):
        began = loop.time()
        few.wire.protocol.data_received(PING)
        while few.read <= number:
            few.protocol.news.clear()
            await few.protocol.news.wait()
        waits.append(loop.time() - began)
        await asyncio.sleep(each_s)
    assert max(waits) <= 0.025
    for task in taking:
        task.cancel()
    await asyncio.wait(taking)


@simulated
async def test_of_sockets_that_are_alike_none_starves() -> None:
    pace, loop, waits = FramePace(), asyncio.get_running_loop(), list[float]()

    async def ping(client: Client, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        since = list[float]()
        while loop.time() < ends:
            since.append(loop.time())
            client.wire.protocol.data_received(PING)
            waits.append(loop.time() - since[client.read] if client.read < len(since) else 0.0)
            await asyncio.sleep(0.02)

    ends = loop.time() + 10.0
    await asyncio.gather(*[ping(Client(pace), number / 45 * 0.02) for number in range(45)])
    # Of 2,250 frames a second, 2,000 are read: after 10 s each has 1.1 s of its frames left.
    assert max(waits) <= 2.5


@simulated
async def test_a_new_socket_has_no_frames_of_a_closed_one() -> None:
    pace = FramePace()
    Client(pace).wire.protocol.data_received(PING * FREE_FRAMES_PER_S)
    for _ in range(20):
        # The last one is freed here, and this one may get its address.
        assert pace.read_or_wait(_Brief())


@simulated
async def test_utterances_count_for_the_socket_that_begins_them() -> None:
    pace, message = FramePace(), frame(0x81, b'{"context_id": "c1", "text": "Hello "}')
    clients = [Client(pace) for _ in range(100)]

    async def handle(socket: ClientSocket) -> None:
        await socket.accept()
        while True:
            await socket.receive()
            socket.count_utterance()

    running = [asyncio.create_task(socket_of(client, pace).run_handler(handle)) for client in clients]
    await asyncio.sleep(0)
    for client in clients:
        client.wire.protocol.data_received(message * 19)
    await asyncio.sleep(0.05)
    assert sum(client.read for client in clients) <= 4 * len(clients)
    await asyncio.sleep(30.0)
    assert sum(client.read for client in clients) >= 19 * len(clients), "all are read in their turns"
    for task in running:
        task.cancel()
    await asyncio.wait(running)


@simulated
async def test_a_worker_reads_10000_frames_a_second_and_quiet_accounts_never_wait() -> None:
    pace = FramePace()
    clients = [Client(pace, f"flooder-{number % 20}") for number in range(100)]
    for client in clients:
        client.flood(PING)
    quiet = Client(pace, "quiet")
    await asyncio.sleep(2.0)
    before = sum(client.read for client in clients)
    for _ in range(200):
        known = quiet.read
        quiet.wire.protocol.data_received(PING)
        assert quiet.read == known + 1
        await asyncio.sleep(1.1 / FREE_FRAMES_PER_S)
    seconds = 200 * 1.1 / FREE_FRAMES_PER_S
    read = sum(client.read for client in clients) - before
    assert 0.8 * WORKER_FRAMES_PER_S * seconds <= read <= 1.2 * WORKER_FRAMES_PER_S * seconds


@simulated
async def test_floods_of_many_accounts_hold_the_loop_for_one_turn_at_a_time() -> None:
    pace = FramePace()
    clients = [Client(pace, f"flooder-{number}") for number in range(100)]
    for client in clients:
        client.flood(PING)
    await asyncio.sleep(3.0)
    before, most, turns = sum(client.read for client in clients), 0, 0
    for _ in range(200):
        await asyncio.sleep(0.005)
        now = sum(client.read for client in clients)
        most, turns, before = max(most, now - before), turns + (now > before), now
    assert most <= 1400
    assert turns > 10


@simulated
async def test_a_message_has_at_most_4096_fragments() -> None:
    whole, longer = Client(FramePace()), Client(FramePace())
    for client, more in ((whole, MESSAGE_FRAGMENTS - 2), (longer, MESSAGE_FRAGMENTS)):
        client.wire.protocol.data_received(TEXT + MORE * more + frame(0x80, b"a"))
    await asyncio.sleep(20.0)
    assert await whole.protocol.receive() == {"type": "websocket.receive", "text": "a" * MESSAGE_FRAGMENTS}
    assert longer.wire.sent.startswith(b"\x88\x15\x03\xf1over 4096")


@simulated
async def test_a_wrong_message_with_pings_behind_it_stops_no_other_socket() -> None:
    pace = FramePace()
    wrong, other = Client(pace), Client(pace)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    wrong.wire.protocol.data_received(PING * FREE_FRAMES_PER_S)
    wrong.wire.protocol.data_received(frame(0x81, b"\xff") + PING * 3)
    other.wire.protocol.data_received(PING)
    await asyncio.sleep(0.1)
    assert wrong.wire.sent.endswith(b"\x88\x02\x03\xef")
    assert other.read == 1


@simulated
async def test_ends_of_a_socket_that_come_in_one_write_raise_nothing_in_any_order() -> None:
    raised = list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
    for ends, is_ending in itertools.product(itertools.permutations(ENDS, 2), (False, True)):
        client = Client(FramePace())
        if is_ending:
            client.protocol.begin_close(1000, "")
        client.wire.protocol.data_received(b"".join(ends))
        await asyncio.sleep(30.0)
        assert client.wire.is_over, ENDS[ends[0]]
    assert raised == []


@simulated
async def test_a_socket_that_fails_stops_no_other() -> None:
    pace = FramePace()
    failing, other = Client(pace), Client(pace)
    failing.wire.protocol.data_received(PING * FREE_SOCKET_FRAMES_PER_S)
    failing.protocol.fails = True
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    for client in (other, failing, other):
        client.wire.protocol.data_received(PING * FREE_FRAMES_PER_S)
    await asyncio.sleep(1.0)
    assert other.read == 2 * FREE_FRAMES_PER_S


@simulated
async def test_a_client_that_answers_no_ping_is_closed() -> None:
    client = Client(FramePace())
    client.wire.answers_pings = False
    await asyncio.sleep(49.0)
    assert client.wire.sent.startswith(b"\x89\x04")
    assert not client.wire.is_over
    await asyncio.sleep(2.0)
    assert client.wire.is_over


@simulated
async def test_a_pong_may_wait_behind_what_is_not_read_yet() -> None:
    client = Client(FramePace())
    client.flood(LETTER)
    await asyncio.sleep(200.0)
    assert not client.wire.is_over


@simulated
async def test_a_pong_may_wait_behind_what_its_client_has_not_taken() -> None:
    client = Client(FramePace())
    client.wire.answers_pings, client.wire.unsent = False, 1
    await asyncio.sleep(200.0)
    assert not client.wire.is_over
    client.wire.unsent = 0
    await asyncio.sleep(50.0)
    assert client.wire.is_over


@simulated
async def test_of_a_client_that_takes_no_pongs_nothing_more_is_read() -> None:
    client = Client(FramePace())
    client.wire.unsent = 64 * 1024
    client.flood(PING)
    await asyncio.sleep(5.0)
    assert (client.read, client.wire.is_paused) == (0, True)
    client.wire.unsent = 0
    client.protocol.resume_writing()
    await asyncio.sleep(5.0)
    assert client.read > 1000


def socket_of(client: Client, pace: FramePace | None = None) -> ClientSocket:
    """A socket of the client, before its handshake."""
    peer = object.__new__(ServerProtocol)
    peer.is_gone = peer.is_ending = False
    headers = [(b"sec-websocket-version", b"13"), (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ==")]
    caller = Caller("ada", "key", "free", "speech")
    scope = {
        "headers": headers,
        "query_string": b"",
        "path_params": {},
        "state": {"request_id": "req_1", "caller": caller, "exchange": _Exchange()},
        "extensions": {PEER: peer, UPGRADE: lambda *_: client.protocol},
    }
    return ClientSocket(scope, pace or FramePace())


class _Exchange:
    status, is_complete, code = 0, False, None


@simulated
async def test_a_silent_socket_ends_180_s_after_its_last_message() -> None:
    client = Client(FramePace())
    loop = asyncio.get_running_loop()
    spoken = asyncio.Event()

    async def handle(socket: ClientSocket) -> None:
        await socket.accept()
        await socket.receive()
        with socket.speaking():
            await spoken.wait()
        await socket.receive()

    async def run() -> None:
        with suppress(ClientLeft):
            await socket_of(client).run_handler(handle)

    running = asyncio.create_task(run())
    await asyncio.sleep(IDLE_S - 1)
    assert not client.protocol.close_sent
    client.wire.protocol.data_received(LETTER)
    await asyncio.sleep(3 * IDLE_S)
    assert not client.protocol.close_sent
    spoken.set()
    await asyncio.sleep(IDLE_S - 1)
    assert not client.protocol.close_sent
    ends = loop.time()
    await asyncio.wait([running])
    assert 0.9 <= loop.time() - ends <= 1.1
    assert b"\x88" in client.wire.sent
    assert b"\x03\xe8No message came within 180 s." in client.wire.sent
