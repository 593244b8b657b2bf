"""Both ends of a link: the frames of a WebSocket on one side, the bytes of a gRPC connection on the other.

While one side cannot write, the other is not read, so a stalled reader holds 64 KiB here. A side is never
paused because its own writes wait: two such sides would stand still for good.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Protocol

MESSAGE_BYTES = 128 * 1024
EARLY_BYTES = 128 * 1024
"""The most bytes that are held until both sides are there. One more read may come behind a pause."""
UNSENT_BYTES = 64 * 1024
TEXT_BYTES, MESSAGE_FRAGMENTS = 4096, 64
PING_S, SILENT_S = 15.0, 40.0
FRAMES_PER_S = 10_000.0
LINGER_S = 3.0
"""The time in which the last bytes of a closed connection may leave."""

_PIECE_BYTES = 32 * 1024
_BURST_S = 1.0
_DATA = (Opcode.BINARY, Opcode.CONT)


class HostPace:
    """How many frames are read, of all links of one host together. Tiny frames would hold up the loop.
    `carried` counts the bytes "in" and "out" of its links."""

    def __init__(self, carried: Counter[str]) -> None:
        self.carried = carried
        self._due = 0.0

    def wait_s(self, now: float) -> float:
        return self._due - now

    def count(self, frames: int, now: float) -> None:
        self._due = max(self._due, now - _BURST_S) + frames / FRAMES_PER_S


class Half(asyncio.Protocol):
    """One side of a pipe. `other` is the side that it is joined to, None before."""

    transport: Any = None
    other: Plain | Wire | None = None
    is_closing = False
    is_lost = False

    def __init__(self) -> None:
        self.read_at = asyncio.get_running_loop().time()
        self.early = bytearray()
        self._pauses: set[str] = set()
        self._is_behind = False
        self._linger: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        state = "lost" if self.is_lost else "joined" if self.other is not None else "alone"
        return f"<{type(self).__name__} {state}>"

    @property
    def held_bytes(self) -> int:
        """The bytes that this side holds in this process."""
        unsent = 0 if self.transport is None or self.is_lost else self.transport.get_write_buffer_size()
        return len(self.early) + unsent

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.set_write_buffer_limits(high=UNSENT_BYTES, low=UNSENT_BYTES // 4)

    def pause_writing(self) -> None:
        self._is_behind = True
        if self.other is not None:
            self.other.pause_reading("other")

    def resume_writing(self) -> None:
        self._is_behind = False
        if self.other is not None:
            self.other.resume_reading("other")

    def pause_reading(self, reason: str) -> None:
        if not self._pauses and not self.is_closing and not self.is_lost:
            self.transport.pause_reading()
        self._pauses.add(reason)

    def resume_reading(self, reason: str) -> None:
        self._pauses.discard(reason)
        self.read_at = asyncio.get_running_loop().time()  # the time without a read is no silence
        if not self._pauses and not self.is_closing and not self.is_lost:
            self.transport.resume_reading()

    def was_silent(self, now: float) -> bool:
        return not self._pauses and now - self.read_at > SILENT_S

    def hold_early(self, data: bytes) -> bool:
        """Hold bytes until both sides are there. Return False if they are too many."""
        self.early += data
        if len(self.early) > EARLY_BYTES:
            self.pause_reading("early")
        return len(self.early) <= EARLY_BYTES + MESSAGE_BYTES

    def join_other(self, other: Plain | Wire) -> None:
        """Send what was held on to the other side. Both sides call this."""
        if self.early:
            other.send_bytes(bytes(self.early))
            self.early.clear()
        if self._is_behind:
            other.pause_reading("other")
        self.resume_reading("early")

    def close_side(self) -> None:
        """Send what waits, and end the connection."""
        if self.transport is None or self.is_closing or self.is_lost:
            return
        self.is_closing = True
        self.transport.close()
        self._linger = asyncio.get_running_loop().call_later(LINGER_S, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self.early.clear()
        if self._linger is not None:
            self._linger.cancel()
        if self.other is not None:
            self.other.close_side()


class Plain(Half):
    """The side of a gRPC peer on this machine. A gRPC server speaks first, before the link is joined."""

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.send_bytes(data)
        elif not self.hold_early(data):
            self.close_side()

    def send_bytes(self, data: bytes) -> None:
        if not self.is_closing and not self.is_lost:
            self.transport.write(data)


class Wire(Half):
    """The side of the WebSocket, after its handshake. Texts are of the link, binary messages are the
    connection's bytes, which come only after they were asked for."""

    is_requested = False

    def __init__(self, frames: Protocol, pace: HostPace) -> None:
        super().__init__()
        self.frames = frames
        self._pace = pace
        self._unread = bytearray()
        self._fragments = 0

    @property
    def held_bytes(self) -> int:
        return super().held_bytes + len(self._unread)

    @property
    def _can_send(self) -> bool:
        is_open = self.transport is not None and self.frames.state is OPEN
        return is_open and not self.is_closing and not self.is_lost

    def take_text(self, text: str) -> None:
        """Act on a text of the other end."""

    def data_received(self, data: bytes) -> None:
        self._pace.carried["in"] += len(data)
        self.read_at = asyncio.get_running_loop().time()
        self._unread += data
        self._read_on()

    def _read_on(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._unread and not self.is_closing and not self.is_lost:
            wait_s = self._pace.wait_s(now)
            if wait_s > 0:
                if "pace" not in self._pauses:
                    self.pause_reading("pace")
                    asyncio.get_running_loop().call_later(wait_s, self._end_wait)
                return
            piece = bytes(self._unread[:_PIECE_BYTES])
            del self._unread[:_PIECE_BYTES]
            self.frames.receive_data(piece)
            events = self.frames.events_received()
            self._pace.count(len(events), now)
            self.take_frames([each for each in events if isinstance(each, Frame)])

    def _end_wait(self) -> None:
        self.resume_reading("pace")
        self._read_on()

    def take_frames(self, frames: list[Frame]) -> None:
        data: list[bytes] = []
        for frame in frames:
            if fault := self._fault_of(frame):
                self.break_off(fault)
                return
            if frame.opcode in _DATA:
                data.append(bytes(frame.data))
            elif frame.opcode is Opcode.TEXT:
                self.take_text(bytes(frame.data).decode(errors="replace"))
        if data and not self._pass_on(b"".join(data)):
            self.break_off("more bytes than are held")
            return
        self._flush()
        if self.frames.close_expected() or self.frames.parser_exc is not None:
            self.close_side()

    def _fault_of(self, frame: Frame) -> str:
        """Return what is wrong with a frame, or ""."""
        if frame.opcode is Opcode.TEXT:
            return "" if frame.fin and len(frame.data) <= TEXT_BYTES else "a text is too long"
        if frame.opcode in _DATA:
            self._fragments = 0 if frame.opcode is Opcode.BINARY else self._fragments + 1
            if self._fragments > MESSAGE_FRAGMENTS:
                return "a message has too many fragments"
            return "" if self.is_requested else "bytes came before they were asked for"
        if frame.opcode is Opcode.PING and self.transport.get_write_buffer_size() > UNSENT_BYTES:
            return "pongs are not read"
        return ""

    def _pass_on(self, data: bytes) -> bool:
        if self.other is None:
            return self.hold_early(data)
        self.other.send_bytes(data)
        return True

    def send_bytes(self, data: bytes) -> None:
        if not self._can_send:
            return
        self._pace.carried["out"] += len(data)
        for start in range(0, len(data), _PIECE_BYTES):
            self.frames.send_binary(data[start : start + _PIECE_BYTES])
        self._flush()

    def send_text(self, text: str) -> None:
        if self._can_send:
            self.frames.send_text(text.encode())
            self._flush()

    def send_ping(self) -> None:
        if self._can_send:
            self.frames.send_ping(b"")
            self._flush()

    def break_off(self, reason: str) -> None:
        """End a link whose other end breaks a rule. If it does not read either, it learns no reason."""
        if self._can_send:
            self.frames.fail(1008, reason)
            self._flush()
        self._unread.clear()
        self.close_side()
        if self.transport.get_write_buffer_size() > UNSENT_BYTES:
            self.transport.abort()

    def close_side(self) -> None:
        if self._can_send:
            self.frames.send_close(1000)
            self._flush()
        super().close_side()

    def _flush(self) -> None:
        if data := b"".join(self.frames.data_to_send()):
            self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unread.clear()
        super().connection_lost(exc)


def join(wire: Wire, plain: Plain) -> None:
    """Send the bytes of each side to the other, first those that were held. If one side is lost, end both."""
    wire.other, plain.other = plain, wire
    wire.is_requested = True
    if wire.is_lost or plain.is_lost or wire.is_closing or plain.is_closing:
        wire.close_side()
        plain.close_side()
        return
    wire.join_other(plain)
    plain.join_other(wire)
