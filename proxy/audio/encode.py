"""Encoders from PCM to a client's format. Each one gives one valid stream, piece by piece.

An encoder is synchronous and belongs to one request. Its owner may close it at any time.
"""

from __future__ import annotations

from typing import Protocol

from proxy.audio.formats import AUDIO_FORMATS, SAMPLE_BYTES, Chunk, OutputForm, SoundFailed, wav_header


class Encoder(Protocol):
    """`feed` takes whole samples. `flush` ends the answer. `close` is always called, perhaps early or
    twice."""

    def feed(self, pcm: bytes) -> Chunk: ...

    def flush(self) -> Chunk: ...

    def close(self) -> None: ...


def open_encoder(form: OutputForm) -> Encoder:
    codec = AUDIO_FORMATS[form.format].codec
    if codec is None:
        rate_hz = form.sample_rate_hz
        return _PlainSamples(wav_header(None, rate_hz) if form.format == "wav" else b"", rate_hz)
    # proxy/audio/libraries.py explains this late import.
    from proxy.audio.compressed import CompressedEncoder

    return CompressedEncoder(codec, form)


_FLAC_LENGTH, _FLAC_LENGTH_BITS = slice(18, 26), 36
"""The length is in the low bits of eight bytes."""


def flac_with_length(flac: bytes, samples: int) -> bytes:
    """Return the beginning of a FLAC stream with its number of samples added, which the encoder did not know.
    Players show it, and need it to seek."""
    rest = int.from_bytes(flac[_FLAC_LENGTH]) >> _FLAC_LENGTH_BITS << _FLAC_LENGTH_BITS
    length_bits = rest | samples & (1 << _FLAC_LENGTH_BITS) - 1
    return flac[: _FLAC_LENGTH.start] + length_bits.to_bytes(8) + flac[_FLAC_LENGTH.stop :]


class _PlainSamples:
    """The samples themselves, with or without a header before them."""

    def __init__(self, header: bytes, rate_hz: int) -> None:
        self._header = header
        self._rate_hz = rate_hz
        self._is_closed = False

    def feed(self, pcm: bytes) -> Chunk:
        if self._is_closed:
            raise SoundFailed("the encoder is closed")
        samples = len(pcm) // SAMPLE_BYTES
        header, self._header = self._header, b""
        return Chunk(header + pcm, samples, self._rate_hz)

    def flush(self) -> Chunk:
        return self.feed(b"")

    def close(self) -> None:
        self._is_closed = True
