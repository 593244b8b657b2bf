"""The kernel's buffer of a connection: how much of what was written has left this machine."""

from __future__ import annotations

import asyncio
import socket
import struct

_AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER with a time of 0: the kernel drops its buffer and resets the connection."""
_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25)
_BYTES_SENT_AT, _BYTES_SENT_AGAIN_AT = 200, 208
"""Places of `tcpi_bytes_sent` and `tcpi_bytes_retrans` in Linux's `struct tcp_info`."""


def buffer_little(transport: asyncio.Transport, read_bytes: int = 0) -> None:
    """Let the transport and the kernel buffer as little as possible before the network, and no more than
    about `read_bytes`, if given, of what comes from there."""
    transport.set_write_buffer_limits(high=1)
    try:
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, 1)
        if read_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, read_bytes)
    except OSError:
        pass  # not TCP, or not Linux: all written bytes count as sent


def drop_unsent(transport: asyncio.Transport) -> None:
    """Let the end of the connection drop what the kernel has not sent: those bytes are not charged."""
    try:
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    except OSError:
        pass  # it is closed already


def tcp_info(transport: asyncio.Transport) -> bytes:
    """Return Linux's `tcp_info` of a connection, or b"" if there is none."""
    try:
        connection: socket.socket = transport.get_extra_info("socket")
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_SENT_AGAIN_AT + 8)
    except OSError:
        return b""


def share_sent(info: bytes, before: int, written: int) -> float:
    """Return the share of an answer's `written` bytes that have left this machine.

    The connection has sent `before` bytes before the answer. `info` is Linux's `tcp_info`. Bytes that were
    sent again count once.
    """
    if len(info) < _BYTES_SENT_AGAIN_AT + 8:
        return 1.0
    bytes_sent, bytes_sent_again = struct.unpack_from("=QQ", info, _BYTES_SENT_AT)
    unsent: int = before + written - (bytes_sent - bytes_sent_again)
    return min(1.0, max(0.0, 1.0 - unsent / written))
