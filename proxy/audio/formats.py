"""The formats of answers with their rates, chunks of sound, and a WAV's header.

This module imports no codec, so that parsing a request does not load one.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from proxy.config.fields import FieldFault

OUTPUT_RATE_HZ = 24_000
"""The usual rate of every answer, independent of the engine: clients of `pcm` do not read headers."""

RATES_HZ = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)
"""The rates that a request may name."""

SAMPLE_BYTES = 2

_TAIL_BYTES = 64
_FRAMING_BYTES = 1000
"""Of a second: the heads of frames and pages."""
_UNKNOWN = 0xFFFFFFFF
_WAV_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
WAV_HEADER_BYTES = _WAV_HEADER.size
_RIFF_REST = WAV_HEADER_BYTES - 8


_MPEG_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
# From 16 kbit/s on, a player takes twice the bytes that `least_bytes_per_s` demands of a slow client. The
# pages of Ogg add enough bytes to an Opus of 8 kbit/s.
_MPEG_2 = (16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MP3_KBITS = {
    8_000: _MPEG_2[:7],
    **dict.fromkeys((16_000, 22_050, 24_000), _MPEG_2),
    **dict.fromkeys((44_100, 48_000), _MPEG_1),
}
_OPUS_KBITS = dict.fromkeys((8_000, 16_000, 24_000, 48_000), range(8, 257))
# An AAC frame has at most 6 bits a sample, and the encoder does not reach that.
_AAC_KBITS = {rate: range(16, rate * 5 // 1000 + 1) for rate in RATES_HZ}
_KBITS = {8_000: 32, 16_000: 48, 22_050: 64, 24_000: 64, 44_100: 96, 48_000: 96}


class Codec(NamedTuple):
    """The container and codec of libav for a format, with their options, and the usual kbit/s by rate.

    A container `takes_tags` if tags harm no player. MP3 and AAC would get ID3 in front of their first frame.
    """

    container: str
    name: str
    kbits: Mapping[int, int]
    muxing: Mapping[str, str]
    encoding: Mapping[str, str]
    takes_tags: bool = False


class AudioFormat(NamedTuple):
    media_type: str
    codec: Codec | None = None
    rates_hz: Sequence[int] = (OUTPUT_RATE_HZ, *RATES_HZ)
    kbits: Mapping[int, Sequence[int]] = {}


# Every option makes the first bytes come early: by default, encoders buffer much more. Clients pick a decoder
# by the media type, so it is exact.
AUDIO_FORMATS: dict[str, AudioFormat] = {
    # No ID3 and no Xing frame: clients join the bodies of several answers. Without the bit reservoir, a
    # frame depends on no frame before it. That costs nothing at this rate and gives the first one earlier.
    "mp3": AudioFormat(
        "audio/mpeg",
        Codec(
            "mp3",
            "libmp3lame",
            _KBITS,
            {"write_xing": "0", "id3v2_version": "0"},
            {"compression_level": "7", "reservoir": "0"},
        ),
        kbits=_MP3_KBITS,
    ),
    # A page is out one packet after it is full. Half the length would cost a quarter more bytes.
    "opus": AudioFormat(
        "audio/ogg",
        Codec(
            "ogg",
            "libopus",
            {8_000: 24, 16_000: 24, 24_000: 32, 48_000: 64},
            {"page_duration": "40000"},
            {"application": "voip"},
            takes_tags=True,
        ),
        (OUTPUT_RATE_HZ, *_OPUS_KBITS),
        _OPUS_KBITS,
    ),
    "aac": AudioFormat(
        "audio/aac", Codec("adts", "aac", _KBITS, {}, {"aac_coder": "fast"}), kbits=_AAC_KBITS
    ),
    "flac": AudioFormat(
        "audio/flac",
        Codec(
            "flac",
            "flac",
            {},
            {"metadata_header_padding": "0"},
            {"frame_size": "1152"},
            takes_tags=True,
        ),
    ),
    "wav": AudioFormat("audio/wav"),
    "pcm": AudioFormat("audio/pcm"),
    # The formats of telephones: a byte for each sample, without a header.
    "g711_ulaw": AudioFormat("audio/PCMU", Codec("mulaw", "pcm_mulaw", {}, {}, {}), (8_000,)),
    "g711_alaw": AudioFormat("audio/PCMA", Codec("alaw", "pcm_alaw", {}, {}, {}), (8_000,)),
}
"""A format is added here, and in the table of docs/http.md."""

FORMATS: tuple[str, ...] = tuple(AUDIO_FORMATS)
MEDIA_TYPES: dict[str, str] = {name: format_.media_type for name, format_ in AUDIO_FORMATS.items()}


class OutputForm(msgspec.Struct, frozen=True):
    """The form of an answer's sound. `kbit_s` is None for the usual number of the format at this rate.

    `is_usual` means that the client named no rate and no bits: then an engine's own encoding may have others.
    With a `source`, a container with tags states that a machine spoke, with this word of IPTC.
    """

    format: str
    sample_rate_hz: int = OUTPUT_RATE_HZ
    kbit_s: int | None = None
    is_usual: bool = True
    source: str = ""


TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
RULES = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"
"""IPTC's words for sound of a trained model, and for sound of a program with rules."""

COMMENT = "Spoken by a machine (synthetic speech)."


def machine_tags(source: str) -> dict[str, str]:
    """Return the tags of a container, for people and for tools."""
    return {"comment": COMMENT, "DIGITALSOURCETYPE": source}


USUAL_FORMS: dict[str, OutputForm] = {
    name: OutputForm(name, format_.rates_hz[0]) for name, format_ in AUDIO_FORMATS.items()
}


def form_of(format_: str, rate_hz: int | None, kbit_s: int | None) -> OutputForm | FieldFault:
    """Return the form of an answer whose request names a rate or the kbit/s, or the fault in it."""
    known, usual = AUDIO_FORMATS[format_], USUAL_FORMS[format_]
    rate_hz = rate_hz or usual.sample_rate_hz
    if rate_hz not in known.rates_hz:
        return FieldFault("sample_rate", "wrong", f"{_listed(sorted(set(known.rates_hz)))} for {format_}")
    if kbit_s is None:
        # A format without a choice of bit rates is the same at the usual rate, named or not.
        is_usual = rate_hz == usual.sample_rate_hz and not known.kbits
        return usual if is_usual else OutputForm(format_, rate_hz, is_usual=False)
    if not known.kbits:
        return FieldFault("bitrate", "wrong", f"left out: {format_} has no choice of it")
    if kbit_s not in (allowed := known.kbits[rate_hz]):
        shown = f"{allowed[0]} to {allowed[-1]}" if isinstance(allowed, range) else _listed(allowed)
        return FieldFault("bitrate", "wrong", f"{shown} for {format_} at {rate_hz} Hz")
    return OutputForm(format_, rate_hz, kbit_s, is_usual=False)


def bytes_a_second(form: OutputForm) -> float:
    """Return the most bytes of a second of sound in this form from our encoders."""
    codec = AUDIO_FORMATS[form.format].codec
    kbit_s = form.kbit_s or (codec.kbits.get(form.sample_rate_hz) if codec else None)
    if kbit_s is None:
        return SAMPLE_BYTES * form.sample_rate_hz + _FRAMING_BYTES
    # Some encoders keep their bit rate only on average.
    return kbit_s * 1000 / 8 * 1.25 + _FRAMING_BYTES


def _listed(numbers: Sequence[int]) -> str:
    return ("one of " if len(numbers) > 1 else "") + ", ".join(map(str, numbers))


class Chunk(msgspec.Struct, frozen=True):
    """The next bytes of an answer, and the number of samples that they add.

    The samples of all chunks add up to the exact input, and they are never ahead of the bytes: if a stream is
    cut short, the bill is for the audible sound.
    """

    data: bytes = b""
    samples: int = 0
    sample_rate_hz: int = OUTPUT_RATE_HZ

    def __repr__(self) -> str:
        return f"<Chunk {len(self.data)} bytes, {self.samples} samples>"

    def __add__(self, later: Chunk) -> Chunk:
        return Chunk(self.data + later.data, self.samples + later.samples, later.sample_rate_hz)

    def split(self, at: int) -> tuple[Chunk, Chunk]:
        """Return the first `at` bytes with their share of the samples, and the rest."""
        samples = self.samples * at // max(1, len(self.data))
        return (
            Chunk(self.data[:at], samples, self.sample_rate_hz),
            Chunk(self.data[at:], self.samples - samples, self.sample_rate_hz),
        )


class Tail(msgspec.Struct):
    """The last bytes of an answer, which are held back until the settlement.

    `rest` has the bytes held back now. After the first sound it is never empty, so there is a last chunk.
    """

    rest: Chunk = Chunk()

    def push(self, chunk: Chunk) -> Chunk:
        """Add a chunk, and return the bytes and samples that no longer belong to the tail."""
        whole = self.rest + chunk if self.rest.data or self.rest.samples else chunk
        released, self.rest = whole.split(max(0, len(whole.data) - _TAIL_BYTES))
        return released


def silence(samples: int) -> bytes:
    return bytes(samples * SAMPLE_BYTES)


def true_wav(streamed_bytes: int, rate_hz: int, *, is_tagged: bool) -> tuple[bytes, bytes]:
    """Return the true header for a WAV that was streamed, and the tag after its last sample.

    The header is as long as the streamed one.
    """
    data_bytes = streamed_bytes - WAV_HEADER_BYTES
    header = wav_header(data_bytes // SAMPLE_BYTES, rate_hz)
    if data_bytes > _UNKNOWN - _RIFF_REST - len(_WAV_TAG) or not is_tagged:
        return header, b""
    riff_bytes = data_bytes + _RIFF_REST + len(_WAV_TAG)
    return header[:4] + riff_bytes.to_bytes(4, "little") + header[8:], _WAV_TAG


_TEXT = COMMENT.encode() + b"\0"
_INFO = b"INFOICMT" + len(_TEXT).to_bytes(4, "little") + _TEXT + b"\0" * (len(_TEXT) % 2)
_WAV_TAG = b"LIST" + len(_INFO).to_bytes(4, "little") + _INFO


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


STEP_S = 0.1
OFFSET_DB = -0.691
SILENCE_POWER = 10 ** ((-70.0 - OFFSET_DB) / 10)


def is_sound(power: float) -> bool:
    return power > SILENCE_POWER


class SoundFailed(Exception):
    """A step or an encoder broke. That is the server's fault, so the request fails and costs nothing."""
