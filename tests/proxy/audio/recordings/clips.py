"""Recordings in every format that people send, made of samples by libav."""

import io
import struct
from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]
"""Of one channel, or (channels, samples). Full scale is 1."""


class Kind(NamedTuple):
    """A file as a recorder writes it: container, codec, the form of its samples, and options."""

    container: str
    codec: str
    form: str = "s16"
    rate_hz: int = 24_000
    options: Mapping[str, str] = MappingProxyType({})
    codec_seen: str = ""


KINDS = {
    "wav": Kind("wav", "pcm_s16le"),
    "wav 24 bit": Kind("wav", "pcm_s24le", "s32", 48_000),
    "wav float": Kind("wav", "pcm_f32le", "flt"),
    "wav 8 bit": Kind("wav", "pcm_u8", "u8", 8_000),
    "wav a-law": Kind("wav", "pcm_alaw", "s16", 8_000),
    "mp3": Kind("mp3", "libmp3lame", "s16p", codec_seen="mp3"),
    "m4a": Kind("ipod", "aac", "fltp", 44_100, codec_seen="aac"),
    "m4a alac": Kind("ipod", "alac", "s16p", 44_100, codec_seen="alac"),
    "mp4 fragmented opus": Kind(
        "mp4", "libopus", "s16", 48_000, {"movflags": "frag_keyframe+empty_moov"}, "opus"
    ),
    "aac": Kind("adts", "aac", "fltp", 44_100, codec_seen="aac"),
    "ogg opus": Kind("ogg", "libopus", "s16", 48_000, codec_seen="opus"),
    "webm opus": Kind("webm", "libopus", "s16", 48_000, {"live": "1"}, "opus"),
    "flac": Kind("flac", "flac", "s16", 44_100, codec_seen="flac"),
    "flac 24 bit": Kind("flac", "flac", "s32", 48_000, codec_seen="flac"),
}


def encoded(kind: Kind, samples: Samples) -> bytes:
    """A whole file. The samples are at the rate of the kind."""
    channels = np.atleast_2d(samples)
    sink = io.BytesIO()
    with av.open(sink, "w", format=kind.container, options=dict(kind.options)) as container:
        stream: Any = container.add_stream(kind.codec, rate=kind.rate_hz)
        stream.layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[len(channels)]
        stream.format = kind.form
        for at in range(0, channels.shape[1], 4096):
            frame = _frame(channels[:, at : at + 4096], kind, stream.layout.name)
            frame.pts = at
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return sink.getvalue()


def _frame(channels: Samples, kind: Kind, layout: str) -> av.AudioFrame:
    form, planar = kind.form.rstrip("p"), kind.form.endswith("p")
    whole: NDArray[Any]
    match form:
        case "u8":
            whole = np.rint(channels * 127 + 128).astype(np.uint8)
        case "s16":
            whole = np.clip(np.rint(channels * 32768), -32768, 32767).astype(np.int16)
        case "s32":
            whole = (np.clip(np.rint(channels * 2**23), -(2**23), 2**23 - 1) * 256).astype(np.int32)
        case _:
            whole = channels.astype(np.float32)
    packed = whole if planar else np.ascontiguousarray(whole.T).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(packed), format=kind.form, layout=layout)
    frame.sample_rate = kind.rate_hz
    frame.time_base = Fraction(1, kind.rate_hz)
    return frame


def sine(pitch_hz: float, seconds: float, rate_hz: int = 24_000, height: float = 0.3) -> Samples:
    return height * np.sin(2 * np.pi * pitch_hz * np.arange(round(seconds * rate_hz)) / rate_hz)


def wav(
    data: bytes,
    rate_hz: int = 24_000,
    channels: int = 1,
    bits: int = 16,
    tag: int = 1,
    size: int | None = None,
) -> bytes:
    """A WAV whose head says what one likes."""
    size = len(data) if size is None else size
    frame = channels * bits // 8
    head = (tag, channels, rate_hz, rate_hz * frame & 0xFFFFFFFF, frame & 0xFFFF, bits)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, *head)
    total = min(size + 36, 0xFFFFFFFF)
    return struct.pack("<4sI4s", b"RIFF", total, b"WAVE") + form + struct.pack("<4sI", b"data", size) + data
