"""The protocols of the peers that our server calls: what their answers are made of, for floods."""

import base64
import hashlib
import re
import socket
from collections.abc import Callable
from typing import NamedTuple

ENDLESS_BYTES = 1024 * 1024 * 1024
"""The length that a message claims for itself."""
INTERIM = b"HTTP/1.1 102 Processing\r\nlink: <a>\r\n\r\n"
_KEY = re.compile(rb"sec-websocket-key: *(\S+)\r\n", re.IGNORECASE)
_LENGTH = re.compile(rb"content-length: *(\d+)\r\n", re.IGNORECASE)
_GARBAGE = b"\xc1\xff\x00garbage\xfe\r\n\r\n"

Beginning = Callable[[socket.socket], None]


class PeerProtocol(NamedTuple):
    """`begin` takes what the client says first. `head` is before each answer. `text` and `listing` begin a
    message with a long text or list, and `listing` has an entry, too. `message` is a small one, `lawful` a
    whole answer, `later` an answer of a version to come. `last` ends what is begun.
    """

    begin: Beginning
    head: bytes
    text: bytes
    listing: tuple[bytes, bytes]
    message: bytes
    lawful: bytes
    later: bytes
    garbage: bytes = _GARBAGE
    endless: tuple[bytes, bytes] = (b"", b"")
    """What is sent without an end, after a beginning."""
    last: bytes = b""


def read_request(client: socket.socket) -> bytes:
    """Take a request of HTTP, and return its head."""
    said = b""
    while b"\r\n\r\n" not in said:
        if not (part := client.recv(65_536)):
            raise ConnectionError
        said += part
    head, _, body = said.partition(b"\r\n\r\n")
    found = _LENGTH.search(head + b"\r\n")
    left = int(found[1]) - len(body) if found else 0
    while left > 0 and (part := client.recv(65_536)):
        left -= len(part)
    return head + b"\r\n"


def _http(client: socket.socket) -> None:
    read_request(client)


def _sockets(client: socket.socket) -> None:
    """Take a handshake of WebSocket, and agree."""
    key = _KEY.search(read_request(client))
    assert key is not None
    accepted = hashlib.sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    client.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        b"sec-websocket-accept: " + base64.b64encode(accepted) + b"\r\n\r\n"
    )


def _frame(message: bytes, length: int | None = None, first: int = 0x81) -> bytes:
    """A frame of a server, which has no mask. With a `length`, its message goes on."""
    size = len(message) if length is None else length
    if size < 126:
        return bytes([first, size]) + message
    if size < 65_536:
        return bytes([first, 126]) + size.to_bytes(2) + message
    return bytes([first, 127]) + size.to_bytes(8) + message


def _line(client: socket.socket) -> None:
    """Take one line or command, whatever it is."""
    client.recv(65_536)


def _nothing(_client: socket.socket) -> None:
    """The server speaks first."""


def _answer(kind: str, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n".encode()


def _json(
    text: bytes, listing: tuple[bytes, bytes], lawful: bytes, later: bytes, status: str = "200 OK"
) -> PeerProtocol:
    """A provider whose whole answer is JSON."""
    head = _answer("application/json", status)
    nested = b'{"data":' + b"[" * 200_000
    return PeerProtocol(_http, head, text, listing, INTERIM, lawful, later, nested, (b"", b" "))


_LATER = b'{"version":99,"object":"answer.v9","answer":{"of":"later"}}'
_SSE = _answer("text/event-stream")
_DELTA = b'data: {"type":"speech.audio.delta","audio":"AAAA"}\n\n'
_MINIMAX = b'data: {"data":{"audio":"0000","status":1},"base_resp":{"status_code":0}}\n\n'
_TIMED = b'{"audio_base64":"AAAA","alignment":null}\n'
_SEGMENT = b'{"text":"a","start":0,"end":1},'
_CREATED = b'{"type":"session.created","session":{}}'
_UNKNOWN = b'{"type":"session.news"}'
_PIECES = b'{"id":"a","status":"COMPLETED","stream":[{"output":{"number":0,"data":""}}]}'
"""An answer to both questions: the work is done, and there is one more piece."""
_S3 = b'<?xml version="1.0"?><ListBucketResult><Name>b</Name>'
_ENTRY = (
    b"<Contents><Key>pre/fix/a</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
    b'<ETag>"a"</ETag><Size>1</Size></Contents>'
)
_RANGE = (
    b"HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 0-99/100\r\n"
    b"last-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\netag: a\r\nconnection: close\r\n"
)

PEERS = {
    "openai speech": PeerProtocol(
        _http,
        _answer("audio/pcm"),
        b'{"error":{"code":"',
        (b'{"error":[', b'{"loc":[]},'),
        b'{"error":{"code":"a"}}',
        b'{"error":{"code":"server_error","message":"a"}}',
        _LATER,
        b"<html>no audio",
        (b'{"a":"', b"A"),
    ),
    "openai events": PeerProtocol(
        _http,
        _SSE,
        b'data: {"type":"speech.audio.delta","audio":"',
        (b'data: {"a":[', b"[],"),
        b": a comment\n\n",
        _DELTA,
        b'data: {"type":"speech.v9"}\n\n',
        b"data: \xff{\n\n",
        (b"", b"data: a\n"),
        b"0]}\n\n",
    ),
    "openai lists": _json(
        b'{"data":[{"id":"', (b'{"data":[', b'{"id":"a"},'), b'{"data":[{"id":"a"}]}', _LATER
    ),
    "openai transcripts": _json(
        b'{"text":"', (b'{"text":"a","segments":[', _SEGMENT), b'{"text":"a"}', _LATER
    ),
    "minimax speech": PeerProtocol(
        _http,
        _SSE,
        b'data: {"data":{"audio":"',
        (b'data: {"a":[', b"[],"),
        b": a comment\n\n",
        _MINIMAX,
        b'data: {"event":"v9"}\n\n',
        b"data: \xff{\n\n",
        (b"", b"data: a\n"),
        b"0]}\n\n",
    ),
    "minimax whole": PeerProtocol(
        _http,
        _answer("application/json"),
        b'{"data":{"audio":"',
        (b'{"a":[', b"[],"),
        b" ",
        b'{"data":{"audio":"00","status":2},"base_resp":{"status_code":0}}',
        _LATER,
        b"{\xff",
        (b'{"a":"', b"A"),
    ),
    "elevenlabs speech": PeerProtocol(
        _http,
        _answer("application/x-ndjson"),
        b'{"audio_base64":"',
        (b'{"a":[', b"[],"),
        b"\n",
        _TIMED,
        b'{"version":9}\n',
        b"\xff{\n",
        (b'{"a":"', b"A"),
    ),
    "elevenlabs lists": _json(
        b'{"voices":[{"voice_id":"',
        (b'{"voices":[', b'{"voice_id":"a","name":"a"},'),
        b'{"voices":[]}',
        _LATER,
    ),
    "elevenlabs transcripts": _json(
        b'{"text":"', (b'{"text":"","words":[', b'{"text":"a"},'), b'{"text":"a","words":[]}', _LATER
    ),
    "realtime": PeerProtocol(
        _sockets,
        b"",
        _frame(b'{"type":"', ENDLESS_BYTES),
        (_frame(b'{"type":"session.news","b":[', first=0x01), _frame(b"[]," * 300, first=0x00)),
        _frame(_UNKNOWN),
        _frame(_CREATED),
        _frame(b'{"type":"session.created","session":{"audio":[]}}'),
        _frame(b"\xff{"),
        (_frame(b'{"type":"', first=0x01), _frame(b"A" * 1000, first=0x00)),
        _frame(b"0]}", first=0x80),
    ),
    "runpod": _json(
        b'{"id":"',
        (b'{"id":"a","status":"COMPLETED","output":[', b"[],"),
        b'{"id":"a","status":"IN_QUEUE"}',
        _LATER,
    ),
    "runpod pieces": _json(
        b'{"id":"', (b'{"id":"a","status":"COMPLETED","stream":[', b"[],"), _PIECES, _PIECES
    ),
    "stripe": _json(b'{"id":"', (b'{"id":"a","data":[', b"[],"), b'{"id":"a","url":"b"}', _LATER),
    "mercadopago": _json(b'{"id":"', (b'{"id":"a","data":[', b"[],"), b'{"id":"a","init_point":"b"}', _LATER),
    "webhook": _json(b"A", (b"[", b"[],"), b"{}", b"{}", "500 Broken"),
    "mail": PeerProtocol(
        _nothing,
        b"",
        b"220 ",
        (b"220-a\r\n", b"220-a\r\n"),
        b"250 a\r\n",
        b"220 mail.example.org ESMTP ready when you are\r\n",
        b"299 ESMTP/9\r\n",
        endless=(b"220-", b"A"),
    ),
    "redis": PeerProtocol(
        _line,
        b"",
        b"$%d\r\n" % (ENDLESS_BYTES),
        (b"*100000000\r\n", b":1\r\n"),
        b":1\r\n",
        b"*3\r\n:0\r\n:5\r\n:5\r\n",
        b"%1\r\n+version\r\n:9\r\n",
        endless=(b"+", b"A"),
    ),
    "bucket read": PeerProtocol(
        _http,
        b"",
        _RANGE + b"\r\n",
        (_RANGE + b"content-length: 100000000\r\n\r\n", b"A"),
        INTERIM,
        _RANGE + b"content-length: 100\r\n\r\n" + b"A" * 100,
        b"HTTP/1.1 200 OK\r\nx-amz-version: 9\r\nconnection: close\r\n\r\nlater",
        endless=(_RANGE + b"\r\n", b"A"),
    ),
    "bucket list": PeerProtocol(
        _http,
        _answer("application/xml"),
        _S3 + b"<Prefix>",
        (_S3, _ENTRY),
        INTERIM,
        _S3 + _ENTRY + b"</ListBucketResult>",
        b"<ListBucketResultV9><New/></ListBucketResultV9>",
        endless=(_S3, b" "),
    ),
    "bucket refuses": PeerProtocol(
        _http,
        _answer("application/xml", "400 Bad"),
        b"<Error>",
        (b"<Error>", b"<a/>"),
        INTERIM,
        b"<Error><Code>a</Code></Error>",
        b"<ErrorV9/>",
        endless=(b"<Error>", b" "),
    ),
    "hub": PeerProtocol(
        _http,
        b'HTTP/1.1 200 OK\r\netag: "a"\r\nconnection: close\r\n\r\n',
        b"",
        (b"", b"A"),
        b"A",
        b"A" * 100,
        b"later",
        endless=(b"", b"A"),
    ),
    "forward proxy": PeerProtocol(
        _http,
        b"",
        b"HTTP/1.1 200 ",
        (b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"),
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nvia: a\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        endless=(b"HTTP/1.1 200 OK\r\na: ", b"A"),
    ),
}
"""Every peer that the server calls, but hosts, which have a table of their own."""
