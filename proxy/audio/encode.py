"""Encoders from PCM to a client's format. Each one gives one valid stream, piece by piece.

An encoder is synchronous and belongs to one request. Its owner may close it at any time.
"""

from __future__ import annotations

from typing import Protocol

from proxy.audio.formats import AUDIO_FORMATS, SAMPLE_BYTES, Chunk, OutputForm, SoundFailed, wav_header


class Encoder(Protocol):
    """`feed` takes whole samples. `flush` ends the answer. `close` always comes, perhaps early or twice."""

    def feed(self, pcm: bytes) -> Chunk: ...

    def flush(self) -> Chunk: ...

    def close(self) -> None: ...


def open_encoder(form: OutputForm) -> Encoder:
    codec = AUDIO_FORMATS[form.format].codec
    if codec is None:
        rate_hz = form.sample_rate_hz
        return _Plain(wav_header(None, rate_hz) if form.format == "wav" else b"", rate_hz)
    # proxy/audio/libraries.py explains this late import.
    from proxy.audio.compressed import CompressedEncoder

    return CompressedEncoder(codec, form)


class _Plain:
    """The samples themselves, with or without a header before them."""

    def __init__(self, header: bytes, rate_hz: int) -> None:
        self._header = header
        self._rate_hz = rate_hz
        self._fed = 0
        self._closed = False

    def feed(self, pcm: bytes) -> Chunk:
        if self._closed:
            raise SoundFailed("the encoder is closed")
        samples = len(pcm) // SAMPLE_BYTES
        self._fed += samples
        header, self._header = self._header, b""
        return Chunk(header + pcm, samples, self._rate_hz)

    def flush(self) -> Chunk:
        return self.feed(b"")

    def close(self) -> None:
        self._closed = True
