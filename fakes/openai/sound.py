"""Encode a fake voice's PCM in the formats that OpenAI offers, with the tags that real encoders write."""

from __future__ import annotations

import io
import struct
from array import array
from fractions import Fraction

import av

RATE_HZ = 24_000
MEDIA_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
_CODECS = {
    "mp3": ("libmp3lame", "mp3", "s16p"),
    "opus": ("libopus", "ogg", "s16"),
    "aac": ("aac", "adts", "fltp"),
    "flac": ("flac", "flac", "s16"),
}
_FRAME_SAMPLES = RATE_HZ // 50
_UNKNOWN_SIZE = 0xFFFFFFFF


def encoded(pcm: bytes, format_: str, rate_hz: int = RATE_HZ) -> bytes:
    """Encode samples. Another rate than 24 kHz is for pcm and wav alone."""
    if format_ == "pcm":
        return pcm
    if format_ == "wav":
        return wav_header(rate_hz=rate_hz) + pcm
    codec, container, layout_format = _CODECS[format_]
    sink = io.BytesIO()
    with av.open(sink, "w", format=container) as output:
        stream = output.add_stream(codec, rate=RATE_HZ, layout="mono")
        assert isinstance(stream, av.AudioStream)
        resampler = av.AudioResampler(format=layout_format, layout="mono", rate=RATE_HZ)
        for start in range(0, len(pcm), 2 * _FRAME_SAMPLES):
            for frame in resampler.resample(_frame(pcm[start : start + 2 * _FRAME_SAMPLES], start // 2)):
                output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return sink.getvalue()


def wav_header(data_bytes: int = _UNKNOWN_SIZE, rate_hz: int = RATE_HZ) -> bytes:
    """Return a header as OpenAI streams it. Its sizes say that the length is not known yet."""
    layout = (16, 1, 1, rate_hz, 2 * rate_hz, 2, 16)
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", _UNKNOWN_SIZE, b"WAVE", b"fmt ", *layout, b"data", data_bytes
    )


def faster(pcm: bytes, speed: float) -> bytes:
    """Drop or repeat samples: the length is right, and the pitch changes."""
    if speed == 1.0:
        return pcm
    samples = array("h", pcm)
    return array("h", [samples[int(at * speed)] for at in range(int(len(samples) / speed))]).tobytes()


def at_rate(pcm: bytes, rate_hz: int) -> bytes:
    """Return 24 kHz samples at a higher rate. Samples are repeated."""
    samples = array("h", pcm)
    places = range(len(samples) * rate_hz // RATE_HZ)
    return (
        pcm
        if rate_hz == RATE_HZ
        else array("h", [samples[at * RATE_HZ // rate_hz] for at in places]).tobytes()
    )


def _frame(pcm: bytes, at: int) -> av.AudioFrame:
    frame = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
    frame.planes[0].update(pcm + bytes(frame.planes[0].buffer_size - len(pcm)))
    frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, at, Fraction(1, RATE_HZ)
    return frame
