"""The kernel's buffer of a connection: how much of what was written has left this machine."""

from __future__ import annotations

import asyncio
import socket
import struct

_NO_LINGER = struct.pack("ii", 1, 0)
"""SO_LINGER with a time of 0: the kernel drops its buffer and resets the connection."""
_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25)
_BYTES_SENT_OFFSET, _BYTES_RESENT_OFFSET = 200, 208
"""Offsets of `tcpi_bytes_sent` and `tcpi_bytes_retrans` in Linux's `struct tcp_info`, each of 8 bytes."""


def buffer_little(transport: asyncio.Transport, read_bytes: int = 0) -> None:
    """Let the transport and the kernel buffer as little as possible of what is written. With `read_bytes`,
    the kernel also buffers no more than about that of what the client sends."""
    transport.set_write_buffer_limits(high=1)
    try:
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, 1)
        if read_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, read_bytes)
    except OSError:
        pass  # not TCP, or not Linux: all written bytes count as sent


def drop_unsent(transport: asyncio.Transport) -> None:
    """Let the kernel drop what it has not sent when the connection ends: those bytes are not charged."""
    try:
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    except OSError:
        pass  # it is closed already


def tcp_info(transport: asyncio.Transport) -> bytes:
    """Return Linux's `tcp_info` of a connection, or b"" if there is none."""
    try:
        connection: socket.socket = transport.get_extra_info("socket")
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_RESENT_OFFSET + 8)
    except OSError:
        return b""


def share_sent(info: bytes, bytes_before: int, answer_bytes: int) -> float:
    """Return the share of an answer's `answer_bytes` that have left this machine.

    `bytes_before` were written to the connection before the answer. `info` is Linux's `tcp_info`. Bytes that
    the kernel sent again count once.
    """
    if len(info) < _BYTES_RESENT_OFFSET + 8:
        return 1.0
    bytes_sent, bytes_resent = struct.unpack_from("=QQ", info, _BYTES_SENT_OFFSET)
    unsent: int = bytes_before + answer_bytes - (bytes_sent - bytes_resent)
    return min(1.0, max(0.0, 1.0 - unsent / answer_bytes))
