"""How far an Ogg stream's pages reach: the muxer gathers packets, so only its pages tell what is out."""

from __future__ import annotations

_MARK = b"OggS"
_HEADER_BYTES = 27
_NO_PACKET_ENDS = -1


def last_granule(pages: bytes) -> int | None:
    """The position at the end of the last whole packet in `pages` (whole pages), None without one."""
    granule = None
    at = 0
    while (size := page_bytes(pages, at)) is not None:
        position = int.from_bytes(pages[at + 6 : at + 14], "little", signed=True)
        if position != _NO_PACKET_ENDS:
            granule = position
        at += size
    return granule


def page_bytes(data: bytes, at: int) -> int | None:
    """How long the page that begins there is; None where there is no whole one."""
    if not data.startswith(_MARK, at) or at + _HEADER_BYTES > len(data):
        return None
    body_at = at + _HEADER_BYTES + data[at + 26]
    end = body_at + sum(data[at + _HEADER_BYTES : body_at])
    return end - at if end <= len(data) else None
