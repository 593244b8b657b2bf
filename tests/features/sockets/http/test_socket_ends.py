"""How a WebSocket ends: by its client, its handler, its limits, and a server that leaves."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from proxy.errors import AccountSuspended, StorageUnavailable
from proxy.features.sockets.http.socket import ClientSocket, SocketEndpoint
from tests.features.sockets.http.socket_rig import ECHO, ECHOING, SocketPort, frame, socket_port
from tests.features.sockets.http.test_socket import handshake
from tests.proxy.api.owning import new_key
from tests.proxy.http.sockets import calling
from tests.tables import each_row
from tests.waiting import soon

WAIT_S = 20.0
PIECE = bytes(64 * 1024)


class Speaker:
    """A handler that tells what it sees. It speaks until `is_done` is set."""

    def __init__(self) -> None:
        self.socket: ClientSocket | None = None
        self.began, self.is_done, self.over = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.mark = 0
        self.share: float | None = None
        self.was_gone: bool | None = None
        self.error: BaseException | None = None

    async def speak(self, socket: ClientSocket) -> None:
        await self._note(socket, self._until_done)

    async def flood(self, socket: ClientSocket) -> None:
        """Sends as much as the client takes."""
        await self._note(socket, self._without_end)

    async def _note(self, socket: ClientSocket, say: Callable[[ClientSocket], Awaitable[None]]) -> None:
        await socket.accept()
        self.socket, self.mark = socket, socket.count_written()
        try:
            with socket.speaking():
                await say(socket)
            await socket.receive()
        except BaseException as error:
            self.error, self.was_gone, self.share = error, socket.is_gone, socket.share_sent(self.mark)
            if not socket.is_gone:
                await socket.send("interrupted")
                await socket.close(1001, "interrupted")
            raise
        finally:
            self.over.set()

    async def _until_done(self, socket: ClientSocket) -> None:
        await socket.send("begins")
        self.began.set()
        await self.is_done.wait()
        await socket.send("done")

    async def _without_end(self, socket: ClientSocket) -> None:
        while True:
            self.began.set()
            await socket.send(PIECE)


@pytest.fixture
def speaker() -> Speaker:
    return Speaker()


@pytest.fixture
async def port(tmp_path: Path, speaker: Speaker) -> AsyncIterator[SocketPort]:
    async def suspended(socket: ClientSocket) -> None:
        await socket.accept()
        raise AccountSuspended

    async def without_storage(socket: ClientSocket) -> None:
        await socket.accept()
        raise StorageUnavailable

    async def broken(socket: ClientSocket) -> None:
        await socket.accept()
        raise LookupError("private words")

    endpoints = (
        *ECHOING,
        SocketEndpoint("/v1/speak", speaker.speak, "speak"),
        SocketEndpoint("/v1/flood", speaker.flood, "flood"),
        SocketEndpoint("/v1/suspended", suspended, "suspended"),
        SocketEndpoint("/v1/storage", without_storage, "storage"),
        SocketEndpoint("/v1/broken", broken, "broken"),
    )
    async with asyncio.timeout(WAIT_S), socket_port(tmp_path, endpoints) as opened:
        yield opened


async def closed(client: ClientConnection) -> tuple[int | None, str | None]:
    """Reads until the end, and returns the server's code and reason."""
    with suppress(ConnectionClosed):
        while True:
            await client.recv()
    return client.close_code, client.close_reason


async def settled(port: SocketPort) -> None:
    """Waits until no socket and no connection has a place."""
    await soon(lambda: repr(port.sockets), lambda text: text.startswith("<OpenSockets 0 "))
    await soon(lambda: repr(port.places), lambda text: text.startswith("<OpenConnections 0 "))


async def test_a_client_that_closes_ends_the_handler_at_once(port: SocketPort, speaker: Speaker) -> None:
    async with port.connect("/v1/speak") as client:
        assert await client.recv() == "begins"
        assert speaker.socket is not None
        assert speaker.socket.share_sent(speaker.mark) is None
        await client.close()
    await speaker.over.wait()
    assert (type(speaker.error), speaker.was_gone, speaker.share) == (asyncio.CancelledError, True, 1.0)
    await settled(port)


async def test_a_send_to_a_lost_client_is_cancelled_and_tells_what_has_left(
    port: SocketPort, speaker: Speaker
) -> None:
    async with calling(port.address) as client:
        await client.send(handshake(port, "/v1/flood"))
        await client.head()
        await client.exactly(1024 * 1024)
        client.hang_up()
        await speaker.over.wait()
    assert (type(speaker.error), speaker.was_gone) == (asyncio.CancelledError, True)
    assert speaker.share is not None
    assert 0.0 < speaker.share <= 1.0
    await settled(port)


async def test_bytes_before_the_mark_do_not_count_as_sent(port: SocketPort, speaker: Speaker) -> None:
    async with port.connect("/v1/speak") as client:
        await client.recv()
        assert speaker.socket is not None
        speaker.mark = speaker.socket.count_written()
        await client.close()
    await speaker.over.wait()
    assert speaker.share == 0.0


@each_row(
    ("path", "code", "reason"),
    [
        ("/v1/suspended", 1008, "account_suspended"),
        ("/v1/storage", 1011, "storage_unavailable"),
        ("/v1/broken", 1011, ""),
    ],
)
async def test_a_handler_that_fails_closes_the_socket(
    port: SocketPort, path: str, code: int, reason: str
) -> None:
    async with port.connect(path) as client:
        assert await closed(client) == (code, reason)
    await settled(port)


@each_row(
    ("frames", "code"),
    [
        (frame(0x82, bytes(128 * 1024 + 1)), 1009),
        (frame(0x02, bytes(100 * 1024)) + frame(0x80, bytes(100 * 1024)), 1009),
        (frame(0x83), 1002),
        (b"\x81\x01a", 1002),
        (frame(0x80, b"a"), 1002),
        (frame(0x81, b"\xed\xa0\x80"), 1007),
    ],
)
async def test_frames_that_are_wrong_close_with_the_code_that_says_so(
    port: SocketPort, frames: bytes, code: int
) -> None:
    async with calling(port.address) as client:
        await client.send(handshake(port, behind=frames))
        await client.head()
        first, size, *said = await client.exactly(4)
        assert (first, said) == (0x88, list(struct.pack("!H", code)))
        await client.exactly(size - 2)
        assert await client.rest() == b""
    await settled(port)


async def test_a_client_that_reads_nothing_is_cut_off(
    port: SocketPort, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with calling(port.address) as client:
        await client.send(handshake(port, "/v1/flood"))
        await client.head()
        assert speaker.socket is not None
        speaker.socket._protocol.stall_s = 0.05
        await speaker.over.wait()
    assert speaker.share is not None
    await settled(port)


async def test_a_server_that_leaves_closes_silent_sockets_and_lets_others_finish(
    port: SocketPort, speaker: Speaker
) -> None:
    async with port.connect() as silent, port.connect("/v1/speak") as speaking:
        await speaking.recv()
        port.sockets.leave_server()
        port.sockets.leave_server()
        assert (await closed(silent))[0] == 1001
        with pytest.raises(InvalidStatus) as refused:
            async with port.connect():
                pass
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["retry-after"] == "1"
        speaker.is_done.set()
        assert await speaking.recv() == "done"
        assert (await closed(speaking))[0] == 1001
    await settled(port)


async def test_the_end_of_the_drain_interrupts_what_is_spoken(port: SocketPort, speaker: Speaker) -> None:
    async with port.connect("/v1/speak") as client:
        await client.recv()
        (task,) = [each for each in asyncio.all_tasks() if "run_asgi" in repr(each.get_coro())]
        task.cancel()
        assert await client.recv() == "interrupted"
        assert await closed(client) == (1001, "interrupted")
    assert (type(speaker.error), speaker.was_gone, speaker.share) == (asyncio.CancelledError, False, None)
    await settled(port)


async def test_a_reload_closes_nothing(port: SocketPort) -> None:
    async with port.connect() as client:
        port.worker.revise(port.worker.kernel.config)
        await client.send("still here")
        assert await client.recv() == "still here"


async def test_an_account_has_no_more_sockets_than_its_share(port: SocketPort) -> None:
    limit(port, sockets_per_account=2)
    async with port.connect(), port.connect() as second:
        with pytest.raises(InvalidStatus) as refused:
            async with port.connect():
                pass
        answer = refused.value.response
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert b'"too_many_sockets"' in (answer.body or b"")
        await second.close()
        await soon(lambda: repr(port.sockets), lambda text: text.startswith("<OpenSockets 1 "))
        async with port.connect() as third:
            await third.send("a")
            assert await third.recv() == "a"


async def test_a_full_worker_closes_the_longest_idle_socket_of_whoever_has_most(
    port: SocketPort, speaker: Speaker
) -> None:
    limit(port, sockets=3)
    async with AsyncExitStack() as stack:
        speaking = await stack.enter_async_context(port.connect("/v1/speak"))
        assert await speaking.recv() == "begins"
        first, second = [await stack.enter_async_context(port.connect()) for _ in range(2)]
        await first.send("a")
        await first.recv()
        third = await stack.enter_async_context(port.connect())
        assert (await closed(second))[0] == 1013
        for client in (first, third):
            await client.send("b")
            assert await client.recv() == "b"


async def test_a_full_worker_closes_no_socket_of_an_account_with_fewer_idle_ones(port: SocketPort) -> None:
    limit(port, sockets=3)
    bob = await new_key(port.inside, "bob")
    async with port.connect(key=bob) as longest, port.connect() as second, port.connect(), port.connect():
        assert (await closed(second))[0] == 1013
        await longest.send("a")
        assert await longest.recv() == "a"


async def test_a_worker_whose_sockets_all_speak_refuses_another(port: SocketPort, speaker: Speaker) -> None:
    limit(port, sockets=1)
    async with port.connect("/v1/speak") as speaking:
        await speaking.recv()
        with pytest.raises(InvalidStatus) as refused:
            async with port.connect():
                pass
        assert b'"too_many_sockets"' in (refused.value.response.body or b"")
        speaker.is_done.set()
        assert await speaking.recv() == "done"


async def test_a_socket_has_the_one_place_of_its_connection(port: SocketPort) -> None:
    async with port.connect(), port.connect():
        assert repr(port.places).startswith("<OpenConnections 2 ")
    await settled(port)
    async with port.connect(ECHO) as client:
        client.transport.abort()
    await settled(port)


def limit(port: SocketPort, **limits: int) -> None:
    port.sockets.revise_limits(msgspec.structs.replace(port.worker.kernel.config.server, **limits))
