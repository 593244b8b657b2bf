"""The 44 bytes before a WAV's samples, and nothing else: a `LIST` chunk breaks simple clients."""

from __future__ import annotations

import struct

from proxy.audio.formats import OUTPUT_RATE_HZ, SAMPLE_BYTES

_UNKNOWN = 0xFFFFFFFF
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_RIFF_REST = _HEADER.size - 8


def wav_header(frames: int | None) -> bytes:
    """`frames` is None while streaming, and then the sizes say unknown: zeros would read as no audio."""
    data_bytes = _UNKNOWN if frames is None else frames * SAMPLE_BYTES
    if data_bytes > _UNKNOWN - _RIFF_REST:
        data_bytes = riff_bytes = _UNKNOWN
    else:
        riff_bytes = data_bytes + _RIFF_REST
    return _HEADER.pack(
        b"RIFF",
        riff_bytes,
        b"WAVE",
        b"fmt ",
        16,
        1,  # integer PCM
        1,  # mono
        OUTPUT_RATE_HZ,
        OUTPUT_RATE_HZ * SAMPLE_BYTES,
        SAMPLE_BYTES,
        SAMPLE_BYTES * 8,
        b"data",
        data_bytes,
    )
