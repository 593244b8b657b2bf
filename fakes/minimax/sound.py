"""Encode a voice as real audio in the format, rate and channels of the request."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import av

from fakes.minimax.rules import AudioSetting, Speech, without_pauses

VOICE_RATE_HZ = 24_000
_SAMPLE_BYTES = 2
_CONTAINERS = {
    "mp3": ("mp3", "libmp3lame"),
    "flac": ("flac", "flac"),
    "wav": ("wav", "pcm_s16le"),
    "pcm": ("s16le", "pcm_s16le"),
    "pcmu_raw": ("mulaw", "pcm_mulaw"),
    "pcmu_wav": ("wav", "pcm_mulaw"),
    "opus": ("ogg", "libopus"),
}


class Clip(NamedTuple):
    data: bytes
    length_ms: int


def clip(request: Speech, voice: Callable[[str], bytes], format_: str) -> Clip:
    """Return the encoded speech of a request, with its pauses. `voice` gives 24 kHz PCM for a text."""
    pcm = b"".join(
        (voice(text) if text.strip() else b"") + bytes(_SAMPLE_BYTES * round(pause_s * VOICE_RATE_HZ))
        for text, pause_s in without_pauses(request.text)
    )
    length_ms = 1000 * len(pcm) // (_SAMPLE_BYTES * VOICE_RATE_HZ)
    return Clip(_encoded(pcm, request.audio_setting, format_), length_ms)


def seconds(data: bytes) -> float | None:
    """Return the length of a recording; None if the bytes are no recording."""
    try:
        with av.open(io.BytesIO(data), "r") as container:
            stream = container.streams.audio[0]
            samples = sum(frame.samples for frame in container.decode(stream))
            return samples / stream.rate
    except (av.FFmpegError, IndexError):
        return None


def _encoded(pcm: bytes, setting: AudioSetting, format_: str) -> bytes:
    if not pcm or (format_ == "pcm" and (setting.sample_rate, setting.channel) == (VOICE_RATE_HZ, 1)):
        return pcm
    container, codec = _CONTAINERS[format_]
    # Opus has its own sample rates, and 48 kHz is one of them.
    rate_hz = 48_000 if format_ == "opus" else setting.sample_rate
    layout = "mono" if setting.channel == 1 else "stereo"
    sink = io.BytesIO()
    with av.open(sink, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate_hz, layout=layout)
        assert isinstance(stream, av.AudioStream)
        if format_ == "mp3":
            stream.bit_rate = setting.bitrate
        resampler = av.AudioResampler(format=stream.format, layout=layout, rate=rate_hz)
        for frame in [*resampler.resample(_frame(pcm)), *resampler.resample(None)]:
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return sink.getvalue()


def _frame(pcm: bytes) -> av.AudioFrame:
    frame = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) // _SAMPLE_BYTES)
    frame.planes[0].update(pcm)
    frame.sample_rate = VOICE_RATE_HZ
    frame.pts = 0
    frame.time_base = Fraction(1, VOICE_RATE_HZ)
    return frame
