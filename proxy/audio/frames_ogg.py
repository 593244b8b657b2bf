"""Pages of Ogg: how far they reach, and an engine's own Opus as whole pages whose samples are counted."""

from __future__ import annotations

from proxy.audio.formats import Chunk
from speech_engine import EngineFailed

OPUS_RATE_HZ = 48_000
"""Positions count samples at this rate, whatever the rate of the sound is."""

_MARK = b"OggS"
_HEADER_BYTES = 27
_FIRST_PAGE = 2
_HEAD = b"OpusHead"
_PRE_SKIP_AT = 10
_NO_PACKET_ENDS = -1


def last_granule(pages: bytes) -> int | None:
    """Return the position at the end of the last whole packet in `pages`, or None without one.

    Every page is whole. A muxer gathers packets, so only its pages show what it has written.
    """
    granule = None
    at = 0
    while (size := page_bytes(pages, at)) is not None:
        position = int.from_bytes(pages[at + 6 : at + 14], "little", signed=True)
        if position != _NO_PACKET_ENDS:
            granule = position
        at += size
    return granule


def page_bytes(data: bytes, at: int) -> int | None:
    """Return the length of the page that begins at `at`, or None if there is no whole page."""
    if not data.startswith(_MARK, at) or at + _HEADER_BYTES > len(data):
        return None
    body_at = at + _HEADER_BYTES + data[at + 26]
    end = body_at + sum(data[at + _HEADER_BYTES : body_at])
    return end - at if end <= len(data) else None


class OpusPages:
    """Opus in Ogg. When several files follow each other, each one counts from its own start."""

    def __init__(self) -> None:
        self._held = b""
        self._begun = 0
        self._position = 0

    def feed(self, data: bytes) -> Chunk:
        held = self._held + data
        at = samples = 0
        while (size := page_bytes(held, at)) is not None:
            samples += self._samples(held[at : at + size])
            at += size
        if at + len(_MARK) <= len(held) and not held.startswith(_MARK, at):
            raise EngineFailed("the engine's Opus stream is broken between two pages")
        self._held = held[at:]
        return Chunk(held[:at], samples, OPUS_RATE_HZ)

    def flush(self) -> Chunk:
        if self._held and not self._begun:
            raise EngineFailed("the engine's Opus stream ended before its first whole page")
        return Chunk(sample_rate_hz=OPUS_RATE_HZ)

    def _samples(self, page: bytes) -> int:
        """Count the samples that this page ends and that no page before it did."""
        if page[5] & _FIRST_PAGE:
            body = page[_HEADER_BYTES + page[26] :]
            if not body.startswith(_HEAD) or len(body) < _PRE_SKIP_AT + 2:
                raise EngineFailed("the engine's Ogg stream holds something other than Opus")
            # Positions count the first samples too, which a decoder only needs to start, and does not play.
            self._position = int.from_bytes(body[_PRE_SKIP_AT : _PRE_SKIP_AT + 2], "little")
            self._begun += 1
            return 0
        if not self._begun:
            raise EngineFailed("the engine's Opus stream has no beginning")
        position = int.from_bytes(page[6:14], "little", signed=True)
        if position == _NO_PACKET_ENDS or position <= self._position:
            return 0
        new_samples = position - self._position
        self._position = position
        return new_samples
