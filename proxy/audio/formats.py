"""What the server can answer with: the six formats, their one sample rate, and a `Chunk` of any of them.

Imports no codec, so that parsing a request does not load one.
"""

from __future__ import annotations

import msgspec

OUTPUT_RATE_HZ = 24_000
"""Every answer is mono at this rate, whatever the engine's own: clients of `pcm` never look at headers."""

SAMPLE_BYTES = 2

MEDIA_TYPES: dict[str, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
"""Clients pick a decoder by the label, so it names what is really there."""

FORMATS: tuple[str, ...] = tuple(MEDIA_TYPES)


class Chunk(msgspec.Struct, frozen=True):
    """The next bytes of an answer, and how many samples they newly cover.

    The samples of all chunks add up to exactly what went in, and are never ahead of it: a stream cut
    short is billed for what a listener could hear.
    """

    data: bytes = b""
    samples: int = 0
    sample_rate_hz: int = OUTPUT_RATE_HZ

    def __repr__(self) -> str:
        return f"<Chunk {len(self.data)} bytes, {self.samples} samples>"

    def __add__(self, later: Chunk) -> Chunk:
        return Chunk(self.data + later.data, self.samples + later.samples, later.sample_rate_hz)


def silence(samples: int) -> bytes:
    return bytes(samples * SAMPLE_BYTES)
