"""Hosts' ends of links over real sockets. They send bytes, so that they can break the rules of WebSockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from proxy.hosts.links.gateway_links import GatewayLinks, HostLink, LocalConnection
from proxy.hosts.links.handshake import LinkRefusal
from proxy.hosts.links.link_messages import Joining, LinkNews

GATEWAY, MACHINE = "mch_" + "9" * 24, "mch_" + "1" * 24
JOINING = Joining(
    "key_1", "acct_1", "gpu", 2, MACHINE, "1.0", ("tone",), "192.0.2.7", "dGhlIHNhbXBsZSBub25jZQ=="
)


class HostEnd:
    """A host's end. `unread` is what came behind the last frame that was taken."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.socket = connection
        self.frames = ClientProtocol(parse_uri("ws://gateway/cluster/link"), state=OPEN, max_size=None)
        self.head = b""
        self._taken: list[Frame] = []

    async def read_head(self) -> bytes:
        """Read the answer to the handshake, or the whole answer if it is a refusal."""
        loop = asyncio.get_running_loop()
        while b"\r\n\r\n" not in self.head and (data := await loop.sock_recv(self.socket, 65536)):
            self.head += data
        self.head, _, rest = self.head.partition(b"\r\n\r\n")
        if self.head.startswith(b"HTTP/1.1 101"):
            self._feed(rest)
        else:
            while data := await loop.sock_recv(self.socket, 65536):
                rest += data
        return rest

    async def next_frame(self) -> Frame | None:
        """Return the next frame, or None at the end of the connection."""
        while not self._taken:
            try:
                data = await asyncio.get_running_loop().sock_recv(self.socket, 65536)
            except ConnectionError:
                return None
            if not data:
                return None
            self._feed(data)
        return self._taken.pop(0)

    async def next_text(self) -> dict[str, Any]:
        frame = await self.next_frame()
        assert frame is not None
        assert frame.opcode is Opcode.TEXT, frame
        told: dict[str, Any] = json.loads(bytes(frame.data))
        return told

    async def read_bytes(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            frame = await self.next_frame()
            assert frame is not None
            assert frame.opcode is Opcode.BINARY, frame
            data += frame.data
        return bytes(data)

    async def close_code(self) -> int | None:
        """Return the code with which the other end closes, or None if it breaks off."""
        while (frame := await self.next_frame()) is not None:
            if frame.opcode is Opcode.CLOSE:
                return int.from_bytes(bytes(frame.data)[:2], "big")
        return None

    async def send(self, data: bytes) -> None:
        self.frames.send_binary(data)
        await self.send_raw(b"".join(self.frames.data_to_send()))

    async def send_raw(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    def _feed(self, data: bytes) -> None:
        self.frames.receive_data(data)
        self._taken += [each for each in self.frames.events_received() if isinstance(each, Frame)]


class LinksRig:
    def __init__(self) -> None:
        self.news: list[LinkNews] = []
        self.links = GatewayLinks(GATEWAY, 0.0, self.news.append)
        self._sockets: list[socket.socket] = []

    def admit(self, **changes: object) -> HostLink | LinkRefusal:
        return self.links.admit_link(msgspec.structs.replace(JOINING, **changes))

    async def join(self, **changes: object) -> HostEnd:
        """Open a link, and return the host's end behind its handshake."""
        link = self.admit(**changes)
        assert isinstance(link, HostLink), link
        ours, theirs = self._pair()
        await asyncio.get_running_loop().connect_accepted_socket(lambda: link, theirs)
        end = HostEnd(ours)
        await end.read_head()
        return end

    async def ask(self, target: str = "agent", machine: str = MACHINE) -> socket.socket:
        """Open a local connection that asks for a link, and return its other end."""
        ours, theirs = self._pair()
        host = self.links.hosts[machine]
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: LocalConnection(host, target), theirs)
        return ours

    def close(self) -> None:
        self.links.close_links()
        for each in self._sockets:
            each.close()

    def _pair(self) -> tuple[socket.socket, socket.socket]:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        self._sockets.append(ours)
        return ours, theirs


@asynccontextmanager
async def links_rig() -> AsyncIterator[LinksRig]:
    rig = LinksRig()
    try:
        yield rig
    finally:
        rig.close()
        await asyncio.sleep(0)
