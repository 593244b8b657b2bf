"""The encoder and decoder of the fake, which make real bytes in each format of ElevenLabs."""

from __future__ import annotations

import io
import re
from fractions import Fraction
from typing import NamedTuple

import av

from fakes.elevenlabs.refusing import refuse_fields

VOICE_RATE_HZ = 24_000

_FORMATS = re.compile(
    r"mp3_(22050_32|24000_48|44100_(32|64|96|128|192))|opus_48000_(32|64|96|128|192)|"
    r"(pcm|wav)_(8000|16000|22050|24000|32000|44100|48000)|(ulaw|alaw)_8000"
)


class Kind(NamedTuple):
    codec: str
    container: str
    media_type: str


_KINDS = {
    "mp3": Kind("libmp3lame", "mp3", "audio/mpeg"),
    "opus": Kind("libopus", "ogg", "audio/ogg"),
    "pcm": Kind("pcm_s16le", "s16le", "audio/pcm"),
    "wav": Kind("pcm_s16le", "wav", "audio/wav"),
    "ulaw": Kind("pcm_mulaw", "mulaw", "audio/basic"),
    "alaw": Kind("pcm_alaw", "alaw", "audio/basic"),
}


class Format(NamedTuple):
    kind: Kind
    rate_hz: int
    bits_per_s: int

    @classmethod
    def read(cls, name: str) -> Format:
        if not _FORMATS.fullmatch(name):
            raise refuse_fields((("output_format",), "not an output format"))
        kind, rate, *bits = name.split("_")
        return cls(_KINDS[kind], int(rate), int(bits[0]) * 1000 if bits else 0)


def encoded(pcm: bytes, target: Format) -> bytes:
    sink = io.BytesIO()
    with av.open(sink, "w", format=target.kind.container) as output:
        stream = output.add_stream(target.kind.codec, rate=target.rate_hz, layout="mono")
        assert isinstance(stream, av.AudioStream)
        if target.bits_per_s:
            stream.bit_rate = target.bits_per_s
        # av itself converts to the encoder's own sample format and frame size.
        resampler = av.AudioResampler(format=stream.format.name, layout="mono", rate=target.rate_hz)
        for resampled in [*resampler.resample(_frame(pcm)), *resampler.resample(None)]:
            output.mux(stream.encode(resampled))
        output.mux(stream.encode(None))
    return sink.getvalue()


def decoded(data: bytes) -> bytes:
    """Return any recording as 24 kHz mono PCM. If it is no recording, raise av.FFmpegError."""
    with av.open(io.BytesIO(data), "r") as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=VOICE_RATE_HZ)
        frames = [*container.decode(audio=0), None]
        parts = [part for frame in frames for part in resampler.resample(frame)]
    return b"".join(bytes(part.planes[0])[: part.samples * 2] for part in parts)


def _frame(pcm: bytes) -> av.AudioFrame:
    frame = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
    frame.planes[0].update(pcm[: frame.planes[0].buffer_size].ljust(frame.planes[0].buffer_size, b"\0"))
    frame.sample_rate = VOICE_RATE_HZ
    frame.time_base = Fraction(1, VOICE_RATE_HZ)
    frame.pts = 0
    return frame
