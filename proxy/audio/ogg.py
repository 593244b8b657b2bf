"""How far an Ogg stream's pages reach: the muxer gathers packets, so only its pages tell what is out."""

from __future__ import annotations

_HEADER_BYTES = 27
_NO_PACKET_ENDS = -1


def last_granule(pages: bytes) -> int | None:
    """The position at the end of the last whole packet in `pages` (whole pages), None without one."""
    granule = None
    at = 0
    while at + _HEADER_BYTES <= len(pages):
        position = int.from_bytes(pages[at + 6 : at + 14], "little", signed=True)
        if position != _NO_PACKET_ENDS:
            granule = position
        segments = pages[at + 26]
        at += _HEADER_BYTES + segments + sum(pages[at + _HEADER_BYTES : at + _HEADER_BYTES + segments])
    return granule
