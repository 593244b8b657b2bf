"""The socketpair between the supervisor and each of its children, hosts and workers alike.

The end of the pipe says that the other side is dead. The child then removes its own socket and exits,
so that a killed supervisor leaves nothing behind. Frames are a length and a msgpack message.
"""

from __future__ import annotations

import asyncio
import gc
import os
import select
import socket
import struct
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

import msgspec

from speech_engine.host.confinement import die_with_parent
from speech_engine.host.pipe_messages import Message

_LENGTH = struct.Struct("<I")
HEAD_BYTES = _LENGTH.size
encode: Callable[[Message], bytes] = msgspec.msgpack.Encoder().encode
unpack: Callable[[bytes], Message] = msgspec.msgpack.Decoder(Message).decode


def pack(message: Message) -> bytes:
    frame = encode(message)
    return head(frame) + frame


def head(frame: bytes) -> bytes:
    """Return the head of a frame, which is its length."""
    return _LENGTH.pack(len(frame))


def length(head: bytes) -> int:
    size: int = _LENGTH.unpack(head)[0]
    return size


class ParentPipe:
    """A child's end. A thread reads, so that a busy event loop cannot live longer than its supervisor."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(True)
        self._sending = threading.Lock()

    def send(self, message: Message) -> None:
        """Sends a message, unless the parent is gone: the reader sees its end, and exits for us."""
        with self._sending, suppress(OSError):
            self._socket.sendall(pack(message))

    def write(self, frame: bytes) -> None:
        """Sends a frame, which may be large, as `send` does."""
        with self._sending, suppress(OSError):
            self._socket.sendall(head(frame))
            self._socket.sendall(frame)

    def forward(self, frames: bytes) -> None:
        """Sends bytes of frames that are packed already, as `send` does."""
        with self._sending, suppress(OSError):
            self._socket.sendall(frames)

    def close(self) -> None:
        self._socket.close()

    def receive(self) -> Message | None:
        """Returns the next message, or None at the end of the pipe. Blocks."""
        frame = self.read()
        return None if frame is None else unpack(frame)

    def read(self) -> bytes | None:
        """Returns the next frame, or None at the end of the pipe. Blocks."""
        head = self._exactly(HEAD_BYTES)
        return None if head is None else self._exactly(length(head))

    def watch(self, on_message: Callable[[Message], None], on_end: Callable[[], None]) -> None:
        """Hands every message to `on_message` in a thread of its own; at the end calls `on_end` and exits."""

        def read() -> NoReturn:
            while (message := self.receive()) is not None:
                on_message(message)
            try:
                on_end()
            finally:
                os._exit(0)

        threading.Thread(target=read, name="parent-pipe", daemon=True).start()

    def _exactly(self, count: int) -> bytes | None:
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


def pipe_of_one_thread() -> ParentPipe:
    """Returns the pipe of a child without a thread that reads, so that the kernel has to end it.

    The parent may have ended before this: then its question is still in the pipe, and needs no answer.
    """
    die_with_parent()
    gc.enable()  # the room that the child is of may have put it off, while modules were read
    fd = int(sys.argv[1])
    poll = select.poll()
    poll.register(fd, select.POLLHUP)
    if poll.poll(0):
        sys.exit(0)
    return ParentPipe(fd)


def tell(loop: asyncio.AbstractEventLoop, listener: Callable[..., object], *arguments: object) -> None:
    """Passes a call from the reading thread to the loop. The thread must live to notice the pipe's end."""
    try:
        loop.call_soon_threadsafe(listener, *arguments)
    except RuntimeError:
        pass  # the loop is closed: this child is about to exit


def remove_socket(address: str) -> None:
    """Unlinks a child's own socket, and its folder if the folder is empty then."""
    for action, path in ((os.unlink, address), (os.rmdir, os.path.dirname(address))):
        try:
            action(path)
        except OSError:
            pass  # already gone, or others still live in the folder
