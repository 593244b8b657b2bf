"""The links process: workers give it connections, and it joins them to local sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import psutil

from proxy.helpers.child import Child
from proxy.hosts.links.handshake import send_joining
from proxy.hosts.links.link_messages import (
    INBOX,
    BeginLinks,
    HostGone,
    HostJoined,
    HostTargets,
    LinkFigures,
    OfLinks,
    unpack_of_links,
)
from speech_engine.host.pipe_messages import Ready
from tests.proxy.hosts.links.link_rig import GATEWAY, JOINING, MACHINE, HostEnd
from tests.waiting import soon

_MOST_S = 5.0


class _Process:
    def __init__(self, child: Child, folder: Path) -> None:
        self.child, self.folder = child, folder
        self.ends: list[HostEnd] = []

    async def next_message(self) -> OfLinks | None:
        """Return the next message that brings no figures."""
        while (frame := await self.child.read()) is not None:
            if not isinstance(message := unpack_of_links(frame), LinkFigures):
                return message
        return None

    def send_handshake(self, **changes: object) -> tuple[bool, HostEnd]:
        """Do what a worker does: its own copy of the connection is closed afterwards."""
        listener = socket.create_server(("127.0.0.1", 0))
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
        listener.close()
        joining = msgspec.structs.replace(JOINING, **changes)
        is_sent = send_joining(str(self.folder / INBOX), joining, theirs.fileno())
        theirs.close()
        self.ends.append(HostEnd(ours))
        return is_sent, self.ends[-1]


@asynccontextmanager
async def _links_process(folder: Path) -> AsyncIterator[_Process]:
    child = await Child.start("proxy.hosts.links")
    child.send(BeginLinks(str(folder), GATEWAY, 0.1))
    process = _Process(child, folder)
    try:
        assert isinstance(await process.next_message(), Ready)
        yield process
    finally:
        child.kill()
        await child.wait_for_end()
        for end in process.ends:
            end.socket.close()


async def test_a_connection_that_a_worker_gave_away_becomes_a_link(tmp_path: Path) -> None:
    async with asyncio.timeout(_MOST_S), _links_process(tmp_path) as process:
        is_sent, end = process.send_handshake()
        assert is_sent
        await end.read_head()
        assert end.head.startswith(b"HTTP/1.1 101 ")
        assert await end.next_text() == {"gateway": GATEWAY, "of": 1, "wanted": 0}
        assert await process.next_message() == HostJoined(
            MACHINE, "acct_1", "key_1", "gpu", "1.0", ("tone",), "192.0.2.7"
        )
        path = str(tmp_path / "l1.sock")
        process.child.send(HostTargets(MACHINE, {path: "tone.0.1", str(tmp_path / "x"): "../tone"}))
        reader, writer = await _opened(path)
        assert not (tmp_path / "x").exists()
        writer.write(b"asked")
        assert await end.next_text() == {"connect": "tone.0.1"}
        assert await end.read_bytes(5) == b"asked"
        await end.send(bytes(100_000))
        assert await reader.readexactly(100_000) == bytes(100_000)
        # A socket that is not named any more is closed. The link that uses it goes on.
        process.child.send(HostTargets(MACHINE, {}))
        await soon(lambda: not Path(path).exists())
        await end.send(b"on")
        assert await reader.readexactly(2) == b"on"
        assert psutil.Process(process.child.process.pid).memory_info().rss < 60_000_000
        await process.child.stop(1.0)
        assert await end.close_code() == 1000
        assert process.child.process.returncode == 0
        assert not (tmp_path / INBOX).exists()
        writer.close()
        await writer.wait_closed()


async def test_a_refusal_is_an_answer_that_ends_the_connection(tmp_path: Path) -> None:
    async with asyncio.timeout(_MOST_S), _links_process(tmp_path) as process:
        _, end = process.send_handshake()
        await end.read_head()
        _, refused = process.send_handshake(account="acct_2")
        # What follows a refused handshake is no second request.
        await refused.send_raw(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
        body = await refused.read_head()
        assert refused.head.startswith(b"HTTP/1.1 409 Conflict\r\n")
        assert json.loads(body)["error"]["code"] == "host_of_another_account"
        assert b"HTTP/1.1" not in body


async def test_it_ends_with_its_supervisor_and_refuses_while_it_stands_still(tmp_path: Path) -> None:
    async with asyncio.timeout(_MOST_S), _links_process(tmp_path) as process:
        process.child.process.send_signal(19)  # SIGSTOP
        ends = process.ends
        while process.send_handshake(machine=f"mch_{len(ends):024x}", places=1000)[0]:
            pass
        assert 10 < len(ends) < 200
        process.child.process.send_signal(18)  # SIGCONT
        await ends[0].read_head()
        assert ends[0].head.startswith(b"HTTP/1.1 101 ")
        process.child._writer.close()  # the supervisor is dead
        assert await process.child.process.wait() == 0
        assert not (tmp_path / INBOX).exists()
        assert not process.send_handshake()[0]


async def test_a_packet_that_is_no_handshake_is_dropped(tmp_path: Path) -> None:
    async with asyncio.timeout(_MOST_S), _links_process(tmp_path) as process:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as packets:
            ours, theirs = socket.socketpair()
            packets.connect(str(tmp_path / INBOX))
            socket.send_fds(packets, [b"nonsense"], [theirs.fileno()])
            theirs.close()
            ours.setblocking(False)
            assert await asyncio.get_running_loop().sock_recv(ours, 1) == b""
            ours.close()
        _, end = process.send_handshake()
        await end.read_head()
        assert end.head.startswith(b"HTTP/1.1 101 ")
        assert isinstance(await process.next_message(), HostJoined | HostGone)


async def _opened(path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    await soon(Path(path).exists)
    return await asyncio.open_unix_connection(path)
