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
"""The rate of an answer if the client names none. All engines have the same, because `pcm` has no header."""

RATES_HZ = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)
"""The rates that a request may name."""

SAMPLE_BYTES = 2
_TAIL_BYTES = 64
_FRAMING_BYTES = 1000
"""The most bytes that the headers of frames and pages add to a second of sound."""
_UNKNOWN_SIZE = 0xFFFFFFFF
_WAV_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
WAV_HEADER_BYTES = _WAV_HEADER.size
_RIFF_OVERHEAD_BYTES = WAV_HEADER_BYTES - 8

_MPEG_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
# The lowest rate is 16 kbit/s. A player in real time then reads twice as much as `least_bytes_per_s` demands,
# so it is not cut off as a slow client. Opus may have 8 kbit/s, because the pages of Ogg add enough bytes.
_MPEG_2 = (16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MP3_KBITS = {
    8_000: _MPEG_2[:7],
    **dict.fromkeys((16_000, 22_050, 24_000), _MPEG_2),
    **dict.fromkeys((44_100, 48_000), _MPEG_1),
}
_OPUS_KBITS = dict.fromkeys((8_000, 16_000, 24_000, 48_000), range(8, 257))
# AAC allows 6 bits a sample, but the encoder does not reach that. Here the limit is 5.
_AAC_KBITS = {rate: range(16, rate * 5 // 1000 + 1) for rate in RATES_HZ}
USUAL_KBITS = {8_000: 32, 16_000: 48, 22_050: 64, 24_000: 64, 44_100: 96, 48_000: 96}


class Codec(NamedTuple):
    """The libav names and options of a format's container and codec.

    `kbits` is the usual bit rate at each sample rate. `takes_tags` is true if tags harm no player: in MP3 and
    AAC they would be an ID3 header before the first frame.
    """

    container: str
    name: str
    kbits: Mapping[int, int]
    muxing: Mapping[str, str]
    encoding: Mapping[str, str]
    takes_tags: bool = False


class AudioFormat(NamedTuple):
    """The first of `rates_hz` is the usual one. `kbits` has the bit rates that a request may name."""

    media_type: str
    codec: Codec | None = None
    rates_hz: Sequence[int] = (OUTPUT_RATE_HZ, *RATES_HZ)
    kbits: Mapping[int, Sequence[int]] = {}


# Every option makes the encoder send its first bytes earlier: by default, encoders buffer much more. The
# media types are exact, because clients pick a decoder by them.
AUDIO_FORMATS: dict[str, AudioFormat] = {
    # There is no ID3 and no Xing frame, because clients join the bodies of several answers. Without the bit
    # reservoir, each frame can be decoded alone. The first frame comes earlier, and the size is the same.
    "mp3": AudioFormat(
        "audio/mpeg",
        Codec(
            "mp3",
            "libmp3lame",
            USUAL_KBITS,
            {"write_xing": "0", "id3v2_version": "0"},
            {"compression_level": "7", "reservoir": "0"},
        ),
        kbits=_MP3_KBITS,
    ),
    # The encoder sends a page one packet after it is full. Half as long pages need a quarter more bytes. Its
    # mode for speech makes low voices softer by 0.7 dB, and takes a tenth fewer bytes.
    "opus": AudioFormat(
        "audio/ogg",
        Codec(
            "ogg",
            "libopus",
            {8_000: 24, 16_000: 24, 24_000: 32, 48_000: 64},
            {"page_duration": "40000"},
            {"application": "lowdelay"},
            takes_tags=True,
        ),
        (OUTPUT_RATE_HZ, *_OPUS_KBITS),
        _OPUS_KBITS,
    ),
    "aac": AudioFormat(
        "audio/aac", Codec("adts", "aac", USUAL_KBITS, {}, {"aac_coder": "fast"}), kbits=_AAC_KBITS
    ),
    "flac": AudioFormat(
        "audio/flac",
        Codec("flac", "flac", {}, {"metadata_header_padding": "0"}, {"frame_size": "1152"}, takes_tags=True),
    ),
    "wav": AudioFormat("audio/wav"),
    "pcm": AudioFormat("audio/pcm"),
    # The formats of telephones: a byte for each sample, without a header.
    "g711_ulaw": AudioFormat("audio/PCMU", Codec("mulaw", "pcm_mulaw", {}, {}, {}), (8_000,)),
    "g711_alaw": AudioFormat("audio/PCMA", Codec("alaw", "pcm_alaw", {}, {}, {}), (8_000,)),
}
"""To add a format, add it here and to the table of docs/http.md."""

FORMATS: tuple[str, ...] = tuple(AUDIO_FORMATS)
MEDIA_TYPES: dict[str, str] = {name: format_.media_type for name, format_ in AUDIO_FORMATS.items()}


class OutputForm(msgspec.Struct, frozen=True):
    """The form of an answer's sound. If `kbit_s` is None, the encoder uses the usual bit rate of the format.

    If the client named neither a sample rate nor a bit rate, `is_usual` is true. Sound that an engine has
    encoded may then pass with other rates. If `source` is not empty, the tags of a container say
    that a machine spoke. `source` is then IPTC's term, which is one of the tags.
    """

    format: str
    sample_rate_hz: int = OUTPUT_RATE_HZ
    kbit_s: int | None = None
    is_usual: bool = True
    source: str = ""


IPTC_TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
IPTC_RULES = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"
"""IPTC's terms: a trained model made the sound, or a program with fixed rules made it."""

MACHINE_COMMENT = "Spoken by a machine (synthetic speech)."


def machine_tags(source: str) -> dict[str, str]:
    """Return the tags of a container: a comment for people, and IPTC's term for programs."""
    return {"comment": MACHINE_COMMENT, "DIGITALSOURCETYPE": source}


USUAL_FORMS: dict[str, OutputForm] = {
    name: OutputForm(name, format_.rates_hz[0]) for name, format_ in AUDIO_FORMATS.items()
}


def find_form(format_: str, rate_hz: int | None, kbit_s: int | None) -> OutputForm | FieldFault:
    """Return the form for the rates that a request names. If the format lacks one, return the fault."""
    audio_format, usual = AUDIO_FORMATS[format_], USUAL_FORMS[format_]
    rate_hz = rate_hz or usual.sample_rate_hz
    if rate_hz not in audio_format.rates_hz:
        return FieldFault(
            "sample_rate", "wrong", f"{_allowed_text(sorted(set(audio_format.rates_hz)))} for {format_}"
        )
    if kbit_s is None:
        # If the format has no choice of bit rates, a client that names the usual rate gets the usual form.
        is_usual = rate_hz == usual.sample_rate_hz and not audio_format.kbits
        return usual if is_usual else OutputForm(format_, rate_hz, is_usual=False)
    if not audio_format.kbits:
        return FieldFault("bitrate", "wrong", f"left out: {format_} has no choice of it")
    if kbit_s not in (allowed := audio_format.kbits[rate_hz]):
        shown = f"{allowed[0]} to {allowed[-1]}" if isinstance(allowed, range) else _allowed_text(allowed)
        return FieldFault("bitrate", "wrong", f"{shown} for {format_} at {rate_hz} Hz")
    return OutputForm(format_, rate_hz, kbit_s, is_usual=False)


def bytes_a_second(form: OutputForm) -> float:
    """Return the largest number of bytes that our encoders make of a second of sound in this form."""
    codec = AUDIO_FORMATS[form.format].codec
    kbit_s = form.kbit_s or (codec.kbits.get(form.sample_rate_hz) if codec else None)
    if kbit_s is None:
        return SAMPLE_BYTES * form.sample_rate_hz + _FRAMING_BYTES
    # Some encoders reach their bit rate only on average, so a second may have a quarter more.
    return kbit_s * 1000 / 8 * 1.25 + _FRAMING_BYTES


def _allowed_text(numbers: Sequence[int]) -> str:
    return ("one of " if len(numbers) > 1 else "") + ", ".join(map(str, numbers))


class Chunk(msgspec.Struct, frozen=True):
    """The next bytes of an answer, and the number of samples that they add.

    The samples of all chunks add up to the number of samples that were encoded. A chunk never counts samples
    whose bytes come later. So if a stream is cut short, the bill covers only the audible sound.
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

    `rest` has the bytes that are held back now. It is never empty after the first sound, so an answer always
    has a last chunk to send after the settlement.
    """

    rest: Chunk = Chunk()

    def push(self, chunk: Chunk) -> Chunk:
        """Add a chunk, and return the bytes and samples that no longer belong to the tail."""
        whole = self.rest + chunk if self.rest.data or self.rest.samples else chunk
        released, self.rest = whole.split(max(0, len(whole.data) - _TAIL_BYTES))
        return released


def silence(samples: int) -> bytes:
    return bytes(samples * SAMPLE_BYTES)


def final_wav_header(streamed_bytes: int, rate_hz: int, *, is_tagged: bool) -> tuple[bytes, bytes]:
    """Return the header with the true sizes for a WAV that was streamed, and the tag to append to it.

    The new header replaces the streamed one, and is as long. The tag is empty if it has no room.
    """
    data_bytes = streamed_bytes - WAV_HEADER_BYTES
    header = wav_header(data_bytes // SAMPLE_BYTES, rate_hz)
    if data_bytes > _UNKNOWN_SIZE - _RIFF_OVERHEAD_BYTES - len(_WAV_TAG) or not is_tagged:
        return header, b""
    riff_bytes = data_bytes + _RIFF_OVERHEAD_BYTES + len(_WAV_TAG)
    return header[:4] + riff_bytes.to_bytes(4, "little") + header[8:], _WAV_TAG


_COMMENT_TEXT = MACHINE_COMMENT.encode() + b"\0"
_INFO_CHUNK = (
    b"INFOICMT" + len(_COMMENT_TEXT).to_bytes(4, "little") + _COMMENT_TEXT + b"\0" * (len(_COMMENT_TEXT) % 2)
)
_WAV_TAG = b"LIST" + len(_INFO_CHUNK).to_bytes(4, "little") + _INFO_CHUNK


def wav_header(frames: int | None, rate_hz: int = OUTPUT_RATE_HZ, sample_bytes: int = SAMPLE_BYTES) -> bytes:
    """Return the 44 bytes before a WAV's samples. A `LIST` chunk would break simple clients.

    `frames` is None while the answer is streamed. The sizes are then the largest numbers, which mean unknown:
    players take a size of 0 for an empty file.
    """
    data_bytes = _UNKNOWN_SIZE if frames is None else frames * sample_bytes
    if data_bytes > _UNKNOWN_SIZE - _RIFF_OVERHEAD_BYTES:
        data_bytes = riff_bytes = _UNKNOWN_SIZE
    else:
        riff_bytes = data_bytes + _RIFF_OVERHEAD_BYTES
    return _WAV_HEADER.pack(
        b"RIFF",
        riff_bytes,
        b"WAVE",
        b"fmt ",
        16,  # the bytes of this part of the header
        1,  # integer PCM
        1,  # mono
        rate_hz,
        rate_hz * sample_bytes,
        sample_bytes,
        sample_bytes * 8,
        b"data",
        data_bytes,
    )


def wav_samples(wav: bytes | bytearray) -> memoryview:
    """Return the samples of a WAV that this server has made, without a tag or a manifest."""
    at = 12
    while (name := wav[at : at + 4]) and name != b"data":
        size = int.from_bytes(wav[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    size = int.from_bytes(wav[at + 4 : at + 8], "little")
    return memoryview(wav)[at + 8 : at + 8 + size]


class SoundFailed(Exception):
    """A sound filter or an encoder failed. The fault is the server's, so the request costs nothing."""
