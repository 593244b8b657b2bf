"""The pipe between the supervisor and a child, which is a host or a worker. It is a socketpair.

If a child reads the end of the pipe, its supervisor is dead. The child then removes its own socket and exits,
so that a killed supervisor leaves nothing behind. On the pipe, a message is a head and a frame: the frame is
the message in msgpack, and the head is its length.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, NoReturn, TypeVar

import msgspec

from speech_engine.host.pipe_messages import Message

M = TypeVar("M")
_LENGTH = struct.Struct("<I")
HEAD_BYTES = _LENGTH.size
encode: Callable[[msgspec.Struct], bytes] = msgspec.msgpack.Encoder().encode
unpack: Callable[[bytes], Message] = msgspec.msgpack.Decoder(Message).decode


def pack(message: msgspec.Struct) -> bytes:
    """Return a message with its head, ready to send."""
    frame = encode(message)
    return head(frame) + frame


def head(frame: bytes) -> bytes:
    """Return the head of a frame, which is its length."""
    return _LENGTH.pack(len(frame))


def length(head: bytes) -> int:
    """Return the length of the frame after this head."""
    size: int = _LENGTH.unpack(head)[0]
    return size


class Pipe(Generic[M]):
    """A child's side of a pipe, whose frames `unpack` reads. `watch` reads in a thread, so even a child with
    a busy event loop exits."""

    def __init__(self, fd: int, unpack: Callable[[bytes], M]) -> None:
        self._unpack = unpack
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(True)
        self._send_lock = threading.Lock()

    def send(self, message: msgspec.Struct) -> None:
        """Sends a message. If the parent is dead, nothing is sent: the reading thread ends the child."""
        with self._send_lock, suppress(OSError):
            self._socket.sendall(pack(message))

    def write(self, frame: bytes) -> None:
        """Sends a frame after its head, like `send`. A large frame is not copied."""
        with self._send_lock, suppress(OSError):
            self._socket.sendall(head(frame))
            self._socket.sendall(frame)

    def forward(self, frames: bytes) -> None:
        """Sends frames that have their heads already, like `send`."""
        with self._send_lock, suppress(OSError):
            self._socket.sendall(frames)

    def close(self) -> None:
        self._socket.close()

    def receive(self) -> M | None:
        """Returns the next message, or None at the end of the pipe. Blocks."""
        frame = self.read()
        return None if frame is None else self._unpack(frame)

    def read(self) -> bytes | None:
        """Returns the next frame, or None at the end of the pipe. Blocks."""
        head_bytes = self._read_exactly(HEAD_BYTES)
        return None if head_bytes is None else self._read_exactly(length(head_bytes))

    def watch(self, on_message: Callable[[M], None], on_end: Callable[[], None]) -> None:
        """Calls `on_message` with every message, in a new thread. At the end, calls `on_end` and exits."""

        def read() -> NoReturn:
            while (message := self.receive()) is not None:
                on_message(message)
            try:
                on_end()
            finally:
                os._exit(0)

        threading.Thread(target=read, name="parent-pipe", daemon=True).start()

    def _read_exactly(self, count: int) -> bytes | None:
        parts: list[bytes] = []
        while count:
            try:
                part = self._socket.recv(count)
            except OSError:
                return None
            if not part:
                return None
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


class ParentPipe(Pipe[Message]):
    """The pipe of a host or a worker to its supervisor."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd, unpack)


def call_on_loop(
    loop: asyncio.AbstractEventLoop, listener: Callable[..., object], *arguments: object
) -> None:
    """Calls `listener` on the loop, from the reading thread. If the loop is closed, nothing happens.

    An error would end the thread, and then the process would not notice the end of the pipe.
    """
    try:
        loop.call_soon_threadsafe(listener, *arguments)
    except RuntimeError:
        pass  # the loop is closed: this child is about to exit


def remove_socket(address: str) -> None:
    """Unlinks a child's own socket, and then its folder if that is empty."""
    for action, path in ((os.unlink, address), (os.rmdir, os.path.dirname(address))):
        try:
            action(path)
        except OSError:
            pass  # it is already gone, or the folder has sockets of other children
