"""The recording of a conversion, as it was sent. The C2PA manifest of the new sound has it as a parent."""

from __future__ import annotations

from collections.abc import AsyncIterator

_PIECE_BYTES = 64 * 1024
_ANY_TYPE = "application/octet-stream"


class SourceFile:
    """The file of a recording as it was sent. It is in memory as long as its request."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        return len(self._data)

    async def pieces(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self._data), _PIECE_BYTES):
            yield self._data[at : at + _PIECE_BYTES]


def media_type(data: bytes) -> str:
    """Return the media type of a file by its first bytes. A tag may stand before flac and mp3."""
    if data[:3] == b"ID3" and len(data) > 10:
        size = sum((byte & 0x7F) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
        return "audio/flac" if data[10 + size : 14 + size] == b"fLaC" else "audio/mpeg"
    if data[:4] == b"RIFF":
        return "audio/wav"
    if data[4:8] == b"ftyp":
        return "audio/mp4"
    if data[:4] == b"fLaC":
        return "audio/flac"
    is_frame = len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0
    # A frame of AAC begins as one of mp3 does, but its layer is 0: it must not pass for mp3.
    return "audio/mpeg" if is_frame and data[1] & 0x06 else _ANY_TYPE
