"""An engine's own MP3: its frames are counted, its tags and indexes are taken out.

Clients join several answers, and a tag would end up in the middle. A Xing frame plays as silence.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from proxy.audio.formats import OUTPUT_RATE_HZ, Chunk
from speech_engine import EngineFailed

_BIT_RATES_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_BIT_RATES_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
# By the header's two version bits: MPEG 2.5, (reserved), 2, 1.
_SAMPLE_RATES_HZ = {0: (11_025, 12_000, 8_000), 2: (22_050, 24_000, 16_000), 3: (44_100, 48_000, 32_000)}
_LAYER_3 = 1
_MONO = 3
_KINDS = 16
"""The most kinds of frames in one expression. A stream with more kinds goes frame by frame."""

_HEADER_BYTES = 4
_ID3V1_BYTES = 128
_ID3V2_HEADER_BYTES = 10
_VBRI_AT = 36
_INDEX_MARKS = (b"Xing", b"Info")
# By (MPEG 1, mono).
_SIDE_INFO_BYTES = {(True, True): 17, (True, False): 32, (False, True): 9, (False, False): 17}


class FrameHeader(NamedTuple):
    frame_bytes: int
    samples: int
    sample_rate_hz: int

    index_at: int
    """Where a Xing or Info mark stands when the frame is an index: behind the side information."""


def frame_header(data: bytes) -> FrameHeader | None:
    """Read a header of four bytes. Return None if no frame of known length begins with them."""
    sync, version, layer = data[0] << 3 | data[1] >> 5, data[1] >> 3 & 3, data[1] >> 1 & 3
    bit_rate, rate, padding = data[2] >> 4, data[2] >> 2 & 3, data[2] >> 1 & 1
    # Bit rate 0 is "free format": nobody serves it, and its frames can only be found by searching.
    if sync != 0x7FF or version == 1 or layer != _LAYER_3 or bit_rate in (0, 15) or rate == 3:
        return None
    sample_rate_hz = _SAMPLE_RATES_HZ[version][rate]
    samples, kilobits = (1152, _BIT_RATES_1[bit_rate]) if version == 3 else (576, _BIT_RATES_2[bit_rate])
    frame_bytes = samples // 8 * kilobits * 1000 // sample_rate_hz + padding
    side_info_bytes = _SIDE_INFO_BYTES[version == 3, data[3] >> 6 == _MONO]
    return FrameHeader(frame_bytes, samples, sample_rate_hz, _HEADER_BYTES + side_info_bytes)


class Mp3Frames:
    """MPEG 1, 2 and 2.5 layer III at any bit rate. Several files that follow each other are one stream."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._skip = 0
        self._frames = 0
        self._seen: dict[bytes, bytes] = {}
        self._sizes: set[int] = set()
        self._frame_samples = 0
        self._frame: re.Pattern[bytes] | None = None
        self._run: re.Pattern[bytes] | None = None
        self._sample_rate_hz = OUTPUT_RATE_HZ

    def feed(self, data: bytes) -> Chunk:
        self._held += data
        out = bytearray()
        samples = 0
        while True:
            self._drop_skipped()
            run_bytes, run_samples = self._plain_run()
            out += self._held[:run_bytes]
            del self._held[:run_bytes]
            samples += run_samples
            header = self._next_header()
            if header is None or len(self._held) < header.frame_bytes:
                break
            frame = bytes(self._held[: header.frame_bytes])
            del self._held[: header.frame_bytes]
            if _is_tag_frame(frame, header):
                continue
            out += frame
            samples += header.samples
            self._frames += 1
        return Chunk(bytes(out), samples, self._sample_rate_hz)

    def flush(self) -> Chunk:
        if self._held and not self._frames:
            raise EngineFailed("the engine's MP3 stream ended before its first whole frame")
        return Chunk(sample_rate_hz=self._sample_rate_hz)

    def _drop_skipped(self) -> None:
        dropped = min(self._skip, len(self._held))
        del self._held[:dropped]
        self._skip -= dropped

    def _plain_run(self) -> tuple[int, int]:
        """Count the bytes and samples of the whole frames at the front whose headers are known already.

        Nearly all frames of a stream are like that. An expression steps over them at once: one by one, they
        would cost more than everything else that the server does for a clip that passes.
        """
        if self._run is None:
            return 0, 0
        held = bytes(self._held)
        run = self._run.match(held)
        end = run.end() if run else 0
        shortest, longest = min(self._sizes), max(self._sizes)
        frames = end // shortest
        if longest - shortest > 1 or (longest > shortest and frames >= shortest):
            # When lengths differ by more than a padding byte, the frames have to be counted.
            frames = sum(1 for _ in self._frame.finditer(held, 0, end)) if self._frame else 0
        self._frames += frames
        return end, frames * self._frame_samples

    def _note(self, begin: bytes, header: FrameHeader) -> None:
        if begin in self._seen or len(self._seen) == _KINDS:
            return
        self._seen[begin] = _frame_expression(begin, header)
        self._sizes.add(header.frame_bytes)
        # All frames of one sample rate have as many samples.
        self._frame_samples = header.samples
        any_of = b"(?:" + b"|".join(self._seen.values()) + b")"
        self._frame = re.compile(any_of, re.DOTALL)
        self._run = re.compile(any_of + b"*+", re.DOTALL)

    def _next_header(self) -> FrameHeader | None:
        """Read the header at the front and skip tags before it. None means that more bytes are needed."""
        while len(self._held) >= _HEADER_BYTES:
            tag_bytes = _tag_bytes(self._held)
            if tag_bytes is None:
                return self._checked_header()
            if tag_bytes == 0:
                return None
            self._skip = tag_bytes
            self._drop_skipped()
        return None

    def _checked_header(self) -> FrameHeader:
        header = frame_header(bytes(self._held[:_HEADER_BYTES]))
        if header is None:
            raise EngineFailed(f"the engine's MP3 stream is broken after {self._frames} frames")
        if self._frames and header.sample_rate_hz != self._sample_rate_hz:
            raise EngineFailed(
                f"the engine's MP3 stream changes from {self._sample_rate_hz} to {header.sample_rate_hz} Hz"
            )
        self._sample_rate_hz = header.sample_rate_hz
        self._note(bytes(self._held[:_HEADER_BYTES]), header)
        return header


def _frame_expression(begin: bytes, header: FrameHeader) -> bytes:
    """Build the expression for a whole frame that begins with these four bytes and has no index in it."""
    index, vbri = header.index_at - _HEADER_BYTES, _VBRI_AT - _HEADER_BYTES
    marks = b"(?!.{%d}(?:Xing|Info))(?!.{%d}VBRI)" % (index, vbri)
    return re.escape(begin) + marks + b".{%d}" % (header.frame_bytes - _HEADER_BYTES)


def _tag_bytes(held: bytearray) -> int | None:
    """Return the length of the tag at the front: None without a tag, 0 if more bytes are needed."""
    if held.startswith(b"TAG"):
        return _ID3V1_BYTES
    if not held.startswith(b"ID3"):
        return None
    if len(held) < _ID3V2_HEADER_BYTES:
        return 0
    size = 0
    for byte in held[6:_ID3V2_HEADER_BYTES]:
        size = size << 7 | byte & 0x7F
    has_footer = bool(held[5] & 0x10)
    return _ID3V2_HEADER_BYTES * (1 + has_footer) + size


def _is_tag_frame(frame: bytes, header: FrameHeader) -> bool:
    """Tell whether a frame holds an index instead of sound: its side information is all zeros."""
    if not _has_index_mark(frame, 0, header):
        return False
    at = _VBRI_AT if frame[_VBRI_AT : _VBRI_AT + 4] == b"VBRI" else header.index_at
    return not any(frame[_HEADER_BYTES + 2 : at])


def _has_index_mark(held: bytes, at: int, header: FrameHeader) -> bool:
    mark_at, vbri_at = at + header.index_at, at + _VBRI_AT
    return held[mark_at : mark_at + 4] in _INDEX_MARKS or held[vbri_at : vbri_at + 4] == b"VBRI"
