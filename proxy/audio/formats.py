"""The six formats of answers, their one sample rate, chunks of them, and a WAV's header.

This module imports no codec, so that parsing a request does not load one.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

OUTPUT_RATE_HZ = 24_000
"""Every answer is mono at this rate, whatever the engine's own: clients of `pcm` never look at headers."""

SAMPLE_BYTES = 2

_TAIL_BYTES = 64
_UNKNOWN = 0xFFFFFFFF
_WAV_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_RIFF_REST = _WAV_HEADER.size - 8


class Codec(NamedTuple):
    """How libav makes a format: its container and codec, with their options."""

    container: str
    name: str
    bit_rate: int | None
    muxing: Mapping[str, str]
    encoding: Mapping[str, str]


class AudioFormat(NamedTuple):
    """One format of answers. Without a codec it is the samples themselves."""

    media_type: str
    codec: Codec | None = None


# Every option here serves the first bytes: by default each encoder gathers far more before it gives any.
# Clients pick a decoder by the media type, so it names what is really there.
AUDIO_FORMATS: dict[str, AudioFormat] = {
    # No ID3 and no Xing frame: clients join the bodies of several answers. Without the bit reservoir, a
    # frame depends on no frame before it. That costs nothing at this rate and gives the first one earlier.
    "mp3": AudioFormat(
        "audio/mpeg",
        Codec(
            "mp3",
            "libmp3lame",
            64_000,
            {"write_xing": "0", "id3v2_version": "0"},
            {"compression_level": "7", "reservoir": "0"},
        ),
    ),
    # A page is out one packet after it is full. Half the length would cost a quarter more bytes.
    "opus": AudioFormat(
        "audio/ogg", Codec("ogg", "libopus", 32_000, {"page_duration": "40000"}, {"application": "voip"})
    ),
    "aac": AudioFormat("audio/aac", Codec("adts", "aac", 64_000, {}, {"aac_coder": "fast"})),
    "flac": AudioFormat(
        "audio/flac", Codec("flac", "flac", None, {"metadata_header_padding": "0"}, {"frame_size": "1152"})
    ),
    "wav": AudioFormat("audio/wav"),
    "pcm": AudioFormat("audio/pcm"),
}
"""A format is added here, and in the table of docs/http.md."""

FORMATS: tuple[str, ...] = tuple(AUDIO_FORMATS)
MEDIA_TYPES: dict[str, str] = {name: format_.media_type for name, format_ in AUDIO_FORMATS.items()}


class Chunk(msgspec.Struct, frozen=True):
    """The next bytes of an answer, and the number of samples that they add.

    The samples of all chunks add up to exactly what went in, and they are never ahead of the bytes: when a
    stream is cut short, the bill is for what a listener could hear.
    """

    data: bytes = b""
    samples: int = 0
    sample_rate_hz: int = OUTPUT_RATE_HZ

    def __repr__(self) -> str:
        return f"<Chunk {len(self.data)} bytes, {self.samples} samples>"

    def __add__(self, later: Chunk) -> Chunk:
        return Chunk(self.data + later.data, self.samples + later.samples, later.sample_rate_hz)

    def split(self, at: int) -> tuple[Chunk, Chunk]:
        """Return the first so many bytes with their share of the samples, and the rest."""
        samples = self.samples * at // max(1, len(self.data))
        return (
            Chunk(self.data[:at], samples, self.sample_rate_hz),
            Chunk(self.data[at:], self.samples - samples, self.sample_rate_hz),
        )


class Tail:
    """The last bytes of an answer. They are kept back until the settlement.

    `rest` is what is kept back now. After the first sound it is never empty, so that there is a last chunk.
    """

    def __init__(self) -> None:
        self.rest = Chunk()

    def push(self, chunk: Chunk) -> Chunk:
        """Add a chunk, and return the bytes and samples that no longer belong to the tail."""
        whole = self.rest + chunk
        released, self.rest = whole.split(max(0, len(whole.data) - _TAIL_BYTES))
        return released


def silence(samples: int) -> bytes:
    return bytes(samples * SAMPLE_BYTES)


def wav_header(frames: int | None, rate_hz: int = OUTPUT_RATE_HZ, sample_bytes: int = SAMPLE_BYTES) -> bytes:
    """Return the 44 bytes before a WAV's samples, without a `LIST` chunk, which breaks simple clients.

    `frames` is None while the answer is streamed. Then the sizes say unknown: zeros would read as no audio.
    """
    data_bytes = _UNKNOWN if frames is None else frames * sample_bytes
    if data_bytes > _UNKNOWN - _RIFF_REST:
        data_bytes = riff_bytes = _UNKNOWN
    else:
        riff_bytes = data_bytes + _RIFF_REST
    return _WAV_HEADER.pack(
        b"RIFF",
        riff_bytes,
        b"WAVE",
        b"fmt ",
        16,
        1,  # integer PCM
        1,  # mono
        rate_hz,
        rate_hz * sample_bytes,
        sample_bytes,
        sample_bytes * 8,
        b"data",
        data_bytes,
    )
