"""What a connection knows of its bytes: how many have left this machine, and who is at the other end."""

import asyncio
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from proxy.config.sections import Server
from proxy.http.connection import PEER, Peer
from proxy.http.kernel_buffer import share_sent
from proxy.http.server_protocol import ServerProtocol, server_protocol
from tests.proxy.http.sockets import serving
from tests.tables import each_row

pytestmark = pytest.mark.slow

PIECE = bytes(64 * 1024)
LONG_BYTES = 16 * 1024 * 1024
"""More than the kernel takes of an answer that nobody reads."""


class Patient(ServerProtocol):
    stall_s = 60.0
    least_bytes_per_s = 0


class Answers:
    """Answers with many megabytes, as fast as the peer takes them. With `is_close` it is followed closely."""

    def __init__(self, is_close: bool) -> None:
        self.gone = asyncio.Event()
        self.peer: Peer
        self.written = 0
        self.is_stuck = asyncio.Event()
        self._is_close = is_close

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        self.peer, self.written = scope["extensions"][PEER], 0
        self.peer.on_gone = self.gone.set
        if self._is_close:
            self.peer.follow_closely()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while self.written < LONG_BYTES:
            if self.peer.is_behind:
                self.is_stuck.set()
            await self.peer.drain()
            if self.peer.is_gone:
                return
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
            self.written += len(PIECE)
        await send({"type": "http.response.body", "body": b""})


async def _leave(app: Answers, whole_answers: int) -> int:
    """Read so many answers, ask for one more, read nothing of it, and leave when nothing moves any more."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(20.0), serving(app, Patient) as address:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            await loop.sock_connect(client, address)
            for _ in range(whole_answers):
                await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                tail = b""
                while not tail.endswith(b"\r\n0\r\n\r\n"):
                    tail = tail[-16:] + await loop.sock_recv(client, 65536)
            app.is_stuck.clear()
            await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await app.is_stuck.wait()
        await app.gone.wait()
    return app.written


@pytest.mark.parametrize("whole_answers", [0, 1])
async def test_what_lies_in_our_buffers_has_not_been_sent(whole_answers: int) -> None:
    """Without a close look the kernel takes far more than a client that reads nothing."""
    app = Answers(is_close=False)
    written = await _leave(app, whole_answers)
    assert 0.0 < app.peer.sent_share * written < 200_000 < written


async def test_with_a_close_look_little_more_is_written_than_sent() -> None:
    close, loose = Answers(is_close=True), Answers(is_close=False)
    assert await _leave(close, 0) * 2 < await _leave(loose, 0)


@each_row(
    ("sent", "bytes_sent_again", "before", "share"),
    [
        pytest.param(100, 0, 0, 1.0, id="all"),
        pytest.param(25, 0, 0, 0.25, id="a part"),
        pytest.param(1025, 0, 1000, 0.25, id="behind an answer"),
        pytest.param(75, 50, 0, 0.25, id="half of it again, on a bad line"),
        pytest.param(1060, 1000, 0, 0.6, id="most of it again and again"),
        pytest.param(900, 0, 1000, 0.0, id="not even the answer before"),
        pytest.param(5000, 0, 0, 1.0, id="more than was written"),
    ],
)
def test_what_is_sent_again_has_left_once(
    sent: int, bytes_sent_again: int, before: int, share: float
) -> None:
    info = bytes(200) + struct.pack("=QQ", sent, bytes_sent_again)
    assert share_sent(info, before, 100) == pytest.approx(share)
    assert share_sent(info[:-1], before, 100) == 1.0


EXPECTING = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"


async def test_the_word_to_continue_is_no_part_of_an_answer() -> None:
    """A client that gets it a hundred times, and then leaves, pays for no byte more."""
    long = Answers(is_close=True)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET":
            await long(scope, receive, send)
            return
        await receive()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with asyncio.timeout(20.0), serving(app, Patient) as address:
        loop = asyncio.get_running_loop()
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            await loop.sock_connect(client, address)
            for _ in range(100):
                await loop.sock_sendall(client, EXPECTING + b"a")
                heard = b""
                while heard.count(b"\r\n\r\n") < 2:
                    heard += await loop.sock_recv(client, 4096)
            await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await long.is_stuck.wait()
            (arrived,) = struct.unpack("i", fcntl.ioctl(client, termios.FIONREAD, bytes(4)))
        await long.gone.wait()
    assert 0 < arrived < long.written
    assert long.peer.sent_share * long.written < arrived + 1000


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that every user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="voxgate-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


_ASK = """
import os, socket, sys
os.setuid(int(sys.argv[2]))
with socket.socket(socket.AF_UNIX) as client:
    client.connect(sys.argv[1])
    try:
        client.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
        sys.stdout.buffer.write(client.recv(100))
    except (ConnectionResetError, BrokenPipeError):
        pass
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask as another user")
@pytest.mark.parametrize(("user", "is_answered"), [(65534, False), (0, True)])
async def test_control_sock_answers_its_owner_alone(
    public_folder: Path, user: int, is_answered: bool
) -> None:
    """Also where somebody has opened the socket's mode for everybody."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"secrets"})

    path = public_folder / "control.sock"
    protocol = server_protocol(Server())
    config = uvicorn.Config(app, http=protocol, interface="asgi3", ws="none", lifespan="off", log_config=None)
    config.load()
    state = uvicorn.Server(config).server_state
    loop = asyncio.get_running_loop()
    accepting = await loop.create_unix_server(
        lambda: protocol(config=config, server_state=state, app_state={}), path
    )
    path.chmod(0o777)
    command = [sys.executable, "-I", "-c", _ASK, str(path), str(user)]
    try:
        asked = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=20, check=True)
    finally:
        accepting.close()
        for connection in list(state.connections):
            connection.transport.abort()
    assert asked.stdout.startswith(b"HTTP/1.1 200") == is_answered
