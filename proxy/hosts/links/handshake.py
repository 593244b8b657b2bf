"""A handshake between a worker, which reads it, and the links process, which answers it.

The worker sends the descriptor of the connection in a packet, so its own end breaks no link.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import NamedTuple

import msgspec
from websockets.utils import accept_key

from proxy.hosts.links.link_messages import SUBPROTOCOL, Joining, decode_joining

_MOST_PACKET_BYTES = 16 * 1024
_BACKLOG = 64
"""Connections that wait for a links process that does not read. Workers refuse more."""
_AGAIN_S = 1.0
_TYPES = {403: "permission_error", 409: "invalid_request_error", 503: "server_error"}


class LinkRefusal(NamedTuple):
    """Why a host gets no link. `code` is for programs and the metrics."""

    status: int
    code: str
    message: str


def accept_bytes(joining: Joining) -> bytes:
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept_key(joining.handshake_key)}\r\n"
        f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
    ).encode()


def refusal_bytes(refusal: LinkRefusal) -> bytes:
    """Return the answer as any other failure of the server has it."""
    error = {"message": refusal.message, "type": _TYPES[refusal.status], "param": None, "code": refusal.code}
    body = json.dumps({"error": error}).encode()
    head = (
        f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def send_joining(path: str, joining: Joining, descriptor: int) -> bool:
    """Give a connection to the links process, without a wait. Return False if it cannot take it now."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as packets:
        packets.setblocking(False)
        try:
            packets.connect(path)
            socket.send_fds(packets, [msgspec.msgpack.encode(joining)], [descriptor])
        except OSError:
            return False
    return True


class Inbox:
    """Takes connections from workers: `take` gets each with its Joining."""

    def __init__(self, path: str, take: Callable[[Joining, socket.socket], None]) -> None:
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.setblocking(False)
        self._listener.bind(path)
        self._listener.listen(_BACKLOG)
        self._listen()

    def stop_listening(self) -> None:
        self._loop.remove_reader(self._listener)
        self._listener.close()

    def _listen(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        try:
            packets, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError:
            # No descriptor is free. Without a pause, the loop would do nothing else.
            self._loop.remove_reader(self._listener)
            self._loop.call_later(_AGAIN_S, self._listen)
            return
        packets.setblocking(False)
        self._loop.add_reader(packets, self._read, packets)

    def _read(self, packets: socket.socket) -> None:
        data, descriptors = b"", list[int]()
        with suppress(OSError):
            data, descriptors, *_ = socket.recv_fds(packets, _MOST_PACKET_BYTES, 1)
        self._loop.remove_reader(packets)
        packets.close()
        for each in descriptors:
            connection = socket.socket(fileno=each)
            connection.setblocking(False)
            try:
                self._take(decode_joining(data), connection)
            except msgspec.ValidationError:
                connection.close()
