"""Audio that an engine encoded itself: whole frames pass unchanged, and their samples are counted.

MP3 and Opus have files of their own.
"""

from __future__ import annotations

from proxy.audio.formats import OUTPUT_RATE_HZ, SAMPLE_BYTES, Chunk, OutputForm
from proxy.audio.frames_mp3 import Mp3Frames
from speech_engine import EngineFailed

OPUS_RATE_HZ = 48_000
"""The positions of Opus in Ogg count samples at this rate, whatever the rate of the sound."""

_PAGE_MARK = b"OggS"
_PAGE_HEADER_BYTES = 27
_FIRST_PAGE_FLAG = 2
_FLAGS_AT, _POSITION_AT, _SEGMENT_COUNT_AT = 5, 6, 26
_OPUS_HEAD = b"OpusHead"
_PRE_SKIP_AT = 10
_NO_PACKET_ENDS = -1


def last_granule(pages: bytes) -> int | None:
    """Return the position at the end of the last whole packet in `pages`, or None without one.

    Every page must be whole. A muxer buffers packets, so only its pages show which sound was written.
    """
    granule = None
    at = 0
    while (size := page_bytes(pages, at)) is not None:
        position = int.from_bytes(pages[at + _POSITION_AT : at + _POSITION_AT + 8], "little", signed=True)
        if position != _NO_PACKET_ENDS:
            granule = position
        at += size
    return granule


def page_bytes(data: bytes, at: int) -> int | None:
    """Return the length of the page that begins at `at`, or None if there is no whole page."""
    if not data.startswith(_PAGE_MARK, at) or at + _PAGE_HEADER_BYTES > len(data):
        return None
    body_at = at + _PAGE_HEADER_BYTES + data[at + _SEGMENT_COUNT_AT]
    end = body_at + sum(data[at + _PAGE_HEADER_BYTES : body_at])
    return end - at if end <= len(data) else None


class OpusPages:
    """Opus in Ogg. When several files follow each other, each one counts from its own start."""

    def __init__(self) -> None:
        self._held = b""
        self._files = 0
        self._position = 0

    def feed(self, data: bytes) -> Chunk:
        held = self._held + data
        at = samples = 0
        while (size := page_bytes(held, at)) is not None:
            samples += self._samples(held[at : at + size])
            at += size
        if at + len(_PAGE_MARK) <= len(held) and not held.startswith(_PAGE_MARK, at):
            raise EngineFailed("the engine's Opus stream is broken between two pages")
        self._held = held[at:]
        return Chunk(held[:at], samples, OPUS_RATE_HZ)

    def flush(self) -> Chunk:
        if self._held and not self._files:
            raise EngineFailed("the engine's Opus stream ended before its first whole page")
        return Chunk(sample_rate_hz=OPUS_RATE_HZ)

    def _samples(self, page: bytes) -> int:
        if page[_FLAGS_AT] & _FIRST_PAGE_FLAG:
            body = page[_PAGE_HEADER_BYTES + page[_SEGMENT_COUNT_AT] :]
            if not body.startswith(_OPUS_HEAD) or len(body) < _PRE_SKIP_AT + 2:
                raise EngineFailed("the engine's Ogg stream holds something other than Opus")
            # Positions include the first samples, which a decoder needs to start, and does not play.
            self._position = int.from_bytes(body[_PRE_SKIP_AT : _PRE_SKIP_AT + 2], "little")
            self._files += 1
            return 0
        if not self._files:
            raise EngineFailed("the engine's Opus stream has no beginning")
        position = int.from_bytes(page[_POSITION_AT : _POSITION_AT + 8], "little", signed=True)
        if position == _NO_PACKET_ENDS or position <= self._position:
            return 0
        new_samples = position - self._position
        self._position = position
        return new_samples


_ADTS_RATES_HZ = (
    *(96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000),
    *(22_050, 16_000, 12_000, 11_025, 8_000, 7_350),
)
_ADTS_HEADER_BYTES = 7
_ADTS_BLOCK_SAMPLES = 1024

COUNTED_FORMATS = frozenset({"mp3", "aac", "opus", "pcm", "g711_ulaw", "g711_alaw"})
"""The formats whose frames pass unchanged. The server encodes the others again."""


def open_frames(form: OutputForm, *, keeps_original: bool = False) -> Frames | None:
    """Return the frames of a form, or None if the server must encode again.

    It must encode FLAC, whose frames have no length, and WAV, whose sizes must be true.
    """
    match form.format:
        case "mp3":
            return Mp3Frames(keeps_original=keeps_original)
        case "aac":
            return AdtsFrames()
        case "opus":
            return OpusPages()
        case "pcm":
            return RawFrames(form.sample_rate_hz, SAMPLE_BYTES)
        case "g711_ulaw" | "g711_alaw":
            return RawFrames(form.sample_rate_hz, 1)
    return None


class RawFrames:
    """Samples of one or two bytes without a header, at the known rate of the engine."""

    def __init__(self, rate_hz: int, sample_bytes: int) -> None:
        self._rate_hz = rate_hz
        self._sample_bytes = sample_bytes
        self._half = b""

    def feed(self, data: bytes) -> Chunk:
        data = self._half + data
        whole = len(data) - len(data) % self._sample_bytes
        self._half = data[whole:]
        return Chunk(data[:whole], whole // self._sample_bytes, self._rate_hz)

    def flush(self) -> Chunk:
        return Chunk(sample_rate_hz=self._rate_hz)


class AdtsFrames:
    """AAC as ADTS: each frame says how long it is and how many samples it has.

    In HE-AAC the real rate is twice the stated one. The seconds are the same.
    """

    def __init__(self) -> None:
        self._held = b""
        self._frame_count = 0
        self._sample_rate_hz = OUTPUT_RATE_HZ

    def feed(self, data: bytes) -> Chunk:
        held = self._held + data
        at = samples = 0
        while at + _ADTS_HEADER_BYTES <= len(held):
            size = self._frame_bytes(held, at)
            if at + size > len(held):
                break
            samples += _ADTS_BLOCK_SAMPLES * ((held[at + 6] & 3) + 1)
            self._frame_count += 1
            at += size
        self._held = held[at:]
        return Chunk(held[:at], samples, self._sample_rate_hz)

    def flush(self) -> Chunk:
        if self._held and not self._frame_count:
            raise EngineFailed("the engine's AAC stream ended before its first whole frame")
        return Chunk(sample_rate_hz=self._sample_rate_hz)

    def _frame_bytes(self, held: bytes, at: int) -> int:
        begin = int.from_bytes(held[at : at + _ADTS_HEADER_BYTES], "big")
        rate, size = begin >> 34 & 0xF, begin >> 13 & 0x1FFF
        # Twelve bits of ones, then the version, then a layer that is always 0.
        if (
            begin >> 44 != 0xFFF
            or begin >> 41 & 3
            or rate >= len(_ADTS_RATES_HZ)
            or size < _ADTS_HEADER_BYTES
        ):
            raise EngineFailed(f"the engine's AAC stream is broken after {self._frame_count} frames")
        if self._frame_count and _ADTS_RATES_HZ[rate] != self._sample_rate_hz:
            raise EngineFailed("the engine's AAC stream changes its sample rate")
        self._sample_rate_hz = _ADTS_RATES_HZ[rate]
        return size


Frames = Mp3Frames | AdtsFrames | OpusPages | RawFrames
"""`feed` takes an engine's bytes and returns whole frames only. `flush` is called at the end.

Both raise EngineFailed if the bytes are not in the format. An incomplete last frame is dropped.
"""
