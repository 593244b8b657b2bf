"""The pieces of remote work: the far end packs its frames into them, and the server reads them.

A runner cannot read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from speech_engine.bounds import decoded
from speech_engine.events import Event
from speech_engine.host.messages import Failed, HelloReply, encode
from speech_engine.runner import MOST_PIECE_BYTES, RemotePiece
from speech_engine.training import TrainingEnd

_MOST_DATA_BYTES = MOST_PIECE_BYTES * 7 // 10
"""Base64 adds a third, and JSON some bytes."""


class FarIntroduction(msgspec.Struct, frozen=True, tag="introduction"):
    """The first frame of every result: the engine's description."""

    hello: HelloReply


RemoteFrame = Event | Failed | FarIntroduction | TrainingEnd
_decode = msgspec.msgpack.Decoder(list[RemoteFrame]).decode


class Packer:
    """Packs frames into pieces. A piece goes out when it is full, or at the end."""

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self._bytes = 0
        self._number = 0

    def add(self, frame: RemoteFrame) -> RemotePiece | None:
        """Add a frame. Return the piece that was full without it."""
        data = encode(frame)
        piece = self._pack_piece(is_last=False) if self._bytes + len(data) > _MOST_DATA_BYTES else None
        self._frames.append(data)
        self._bytes += len(data)
        return piece

    def last_piece(self) -> RemotePiece:
        return self._pack_piece(is_last=True)

    def _pack_piece(self, *, is_last: bool) -> RemotePiece:
        data = encode([msgspec.Raw(frame) for frame in self._frames])
        piece = RemotePiece(number=self._number, data=data, is_last=is_last)
        self._frames, self._bytes = [], 0
        self._number += 1
        return piece


def frames_of(pieces: Iterable[RemotePiece]) -> Iterator[RemoteFrame]:
    """Yield the frames of pieces in their order. Raises ValueError for a piece without frames."""
    for piece in pieces:
        yield from decoded(_decode, piece.data)
