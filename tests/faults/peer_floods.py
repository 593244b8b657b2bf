"""Peers that misbehave: faults in the frames of any protocol, served over sockets until the client leaves."""

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tests.faults.peer_protocols import INTERIM, PEERS, PeerProtocol

FLOOD_BYTES = 512 * 1024 * 1024
"""What a flood sends, unless its client leaves before."""
LARGE_BYTES = 39 * 1024 * 1024 // 10
_PIECE_BYTES = 64 * 1024
_A_SECOND = b""
"""Stands for a pause of a second."""


def huge_text(peer: PeerProtocol) -> Iterator[bytes]:
    yield peer.head + peer.text
    yield from _repeated(b"A")


def huge_list(peer: PeerProtocol) -> Iterator[bytes]:
    first, entry = peer.listing
    yield peer.head + first
    yield from _repeated(entry)


def large_list(peer: PeerProtocol, most_bytes: int = LARGE_BYTES) -> Iterator[bytes]:
    """It is just short enough for the limit of whole answers, so that somebody may decode it."""
    first, entry = peer.listing
    yield peer.head + first + entry * (most_bytes // len(entry)) + peer.last


def larger_list(peer: PeerProtocol) -> Iterator[bytes]:
    """The same for the limit of one event or line."""
    return large_list(peer, 4 * LARGE_BYTES)


def many_messages(peer: PeerProtocol) -> Iterator[bytes]:
    yield b"" if peer.message == INTERIM else peer.head
    yield from _repeated(peer.message)


def endless_stream(peer: PeerProtocol) -> Iterator[bytes]:
    """It has no end, and what it has sent is lawful up to there."""
    first, more = peer.endless
    yield peer.head + first
    while True:
        yield from _repeated(more or b"\n")


def one_byte_a_second(peer: PeerProtocol) -> Iterator[bytes]:
    yield peer.head
    for byte in peer.lawful * 1000:
        yield _A_SECOND
        yield bytes([byte])


def closed_half_way(peer: PeerProtocol) -> Iterator[bytes]:
    yield peer.head + peer.lawful[: len(peer.lawful) // 2]


def undecodable(peer: PeerProtocol) -> Iterator[bytes]:
    yield peer.head + peer.garbage


def later_version(peer: PeerProtocol) -> Iterator[bytes]:
    yield peer.head + peer.later


def huge_header(_peer: PeerProtocol) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    yield from _repeated(b"a: b\r\n")


def packed(_peer: PeerProtocol) -> Iterator[bytes]:
    """It is small, and would be large. To peers without HTTP this is garbage, as is the next one."""
    body = gzip.compress(bytes(64 * 1024 * 1024), 1)
    yield b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body) + body


def redirected(_peer: PeerProtocol) -> Iterator[bytes]:
    yield b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"


FAULTS = {
    fault.__name__: fault
    for fault in (
        *(huge_text, huge_list, large_list, larger_list, many_messages, endless_stream),
        *(one_byte_a_second, closed_half_way, undecodable, later_version),
        *(huge_header, packed, redirected),
    )
}


def _repeated(part: bytes) -> Iterator[bytes]:
    piece = part * max(1, _PIECE_BYTES // len(part))
    for _ in range(FLOOD_BYTES // len(piece)):
        yield piece


class Flood:
    """A server of one row. `sent` counts its bytes, `clients` its connections."""

    def __init__(self, peer: PeerProtocol, fault: Callable[[PeerProtocol], Iterator[bytes]]) -> None:
        self.sent = self.clients = 0
        self._peer, self._fault = peer, fault
        self._open: set[socket.socket] = set()
        self._is_over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._is_over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for client in list(self._open):
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.clients += 1
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._open.add(client)
        try:
            with client, suppress(OSError):
                self._peer.begin(client)
                for piece in self._fault(self._peer):
                    if piece is _A_SECOND and self._is_over.wait(1.0):
                        return
                    client.sendall(piece)
                    self.sent += len(piece)
        finally:
            self._open.discard(client)


@contextmanager
def flooding(peer: str, fault: str) -> Iterator[Flood]:
    flood = Flood(PEERS[peer], FAULTS[fault])
    try:
        yield flood
    finally:
        flood.close()
