"""What goes between a worker and its signing process: one request and one answer at a time, in frames.

A frame is its length and a msgpack message. Keys go this way alone, never in a command line.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

MOST_BODY_BYTES = 32 * 2**20
"""The largest file that gets an embedded manifest: the library needs five times its size."""
MOST_FRAME_BYTES = 3 * MOST_BODY_BYTES

PARENT = "parent"
"""The label under which a manifest names the provider's own one."""

_PIECE_BYTES = 256 * 1024
_LENGTH = struct.Struct("<I")
HEAD_BYTES = _LENGTH.size


class SignRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest to sign. With a `body`, it is embedded there. Else it is for any file with this SHA-256.

    `parent` is a file with a manifest of its own, which this one names as where the sound comes from.
    """

    definition: str
    chain: str = ""
    key: str = ""
    algorithm: str = ""
    timestamp_url: str = ""
    timestamp_s: float = 0.0
    digest: bytes = b""
    media_type: str = ""
    body: bytes = b""
    parent: bytes = b""
    parent_type: str = ""

    def __repr__(self) -> str:
        return f"<SignRequest for {len(self.body)} bytes>"


class Signed(msgspec.Struct, frozen=True, tag="signed"):
    """The manifest, or the body with it. `lacks` is what this machine cannot take from the process."""

    data: bytes
    is_stamped: bool = False
    has_parent: bool = False
    lacks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Signed, {len(self.data)} bytes>"


class Unsigned(msgspec.Struct, frozen=True, tag="unsigned"):
    """The library's reason why it did not sign. It says nothing of the body."""

    reason: str


SignAnswer = Signed | Unsigned

_answers: msgspec.msgpack.Decoder[SignAnswer] = msgspec.msgpack.Decoder(Signed | Unsigned)
_requests = msgspec.msgpack.Decoder(SignRequest)


def frame(message: SignRequest | SignAnswer) -> Iterator[bytes | memoryview]:
    """Return a frame in pieces, of which each is written at once."""
    body = msgspec.msgpack.encode(message)
    yield _LENGTH.pack(len(body))
    for begin in range(0, len(body), _PIECE_BYTES):
        yield memoryview(body)[begin : begin + _PIECE_BYTES]


def decode_request(data: bytes) -> SignRequest:
    return _requests.decode(data)


def decode_answer(data: bytes) -> SignAnswer:
    return _answers.decode(data)


def length(head: bytes) -> int:
    """Return the length of the message after this head. Raises ValueError if nobody sends so much."""
    (size,) = _LENGTH.unpack(head)
    if size > MOST_FRAME_BYTES:
        raise ValueError("the frame is too long")
    return int(size)
