"""An engine's own MP3: its frames are counted, and its tags and indexes are removed.

Clients join several answers, so a tag would be in the middle. A Xing frame plays as silence.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from proxy.audio.formats import OUTPUT_RATE_HZ, Chunk
from speech_engine import EngineFailed

_BIT_RATES_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_BIT_RATES_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
# By the header's two version bits: MPEG 2.5, (reserved), 2, 1.
_SAMPLE_RATES_HZ = {0: (11_025, 12_000, 8_000), 2: (22_050, 24_000, 16_000), 3: (44_100, 48_000, 32_000)}
_LAYER_3 = 1
_MONO = 3
_MOST_FRAME_KINDS = 16
"""The most kinds of frames that are skipped together. Frames of further kinds are read one by one."""

_HEADER_BYTES = 4
_ID3V1_BYTES = 128
_ID3V2_HEADER_BYTES = 10
_VBRI_AT = 36
_INDEX_MARKS = (b"Xing", b"Info")
_VBRI_MARKS = (b"VBRI",)
_MOST_TAKEN_OUT = 2**20
"""The most bytes of manifests, pictures and indexes of one file that are kept to rebuild it."""
_MANIFEST_MARK = b"jumdc2pa"
"""The description of a C2PA store in a tag."""
# By (MPEG 1, mono).
_SIDE_INFO_BYTES = {(True, True): 17, (True, False): 32, (False, True): 9, (False, False): 17}


class FrameHeader(msgspec.Struct, frozen=True):
    frame_bytes: int
    samples: int
    sample_rate_hz: int
    index_at: int
    """The place of a Xing or Info mark in an index frame: after the side information."""


def frame_header(data: bytes) -> FrameHeader | None:
    """Read a header of four bytes. Return None if no frame of known length begins with them."""
    sync, version, layer = data[0] << 3 | data[1] >> 5, data[1] >> 3 & 3, data[1] >> 1 & 3
    bit_rate, rate, padding = data[2] >> 4, data[2] >> 2 & 3, data[2] >> 1 & 1
    # Bit rate 0 is "free format": no provider serves it, and its frames can only be found by searching.
    if sync != 0x7FF or version == 1 or layer != _LAYER_3 or bit_rate in (0, 15) or rate == 3:
        return None
    sample_rate_hz = _SAMPLE_RATES_HZ[version][rate]
    samples, kilobits = (1152, _BIT_RATES_1[bit_rate]) if version == 3 else (576, _BIT_RATES_2[bit_rate])
    frame_bytes = samples // 8 * kilobits * 1000 // sample_rate_hz + padding
    side_info_bytes = _SIDE_INFO_BYTES[version == 3, data[3] >> 6 == _MONO]
    return FrameHeader(frame_bytes, samples, sample_rate_hz, _HEADER_BYTES + side_info_bytes)


class SkippedBytes(NamedTuple):
    at: int
    data: bytes


class Original(NamedTuple):
    """An original file: the number of its bytes of sound, and the other bytes with their places."""

    sound_bytes: int
    taken_out: tuple[SkippedBytes, ...]


class Mp3Frames:
    """MPEG 1, 2 and 2.5 layer III at any bit rate. Successive files are one stream.

    `has_manifest` tells that a tag had a signed manifest, which is valid only for the original file. With
    `keeps_original`, that file can be rebuilt from `original` and the sound.
    """

    def __init__(self, *, keeps_original: bool = False) -> None:
        self.has_manifest = False
        self._keeps_original = keeps_original
        self._taken_out: list[SkippedBytes] = []
        self._given_bytes = 0
        self._tag_end = b""
        # The unread bytes begin at `_at`.
        self._held = b""
        self._at = 0
        self._skip_bytes = 0
        self._frame_count = 0
        self._headers: dict[bytes, FrameHeader] = {}
        self._least_bytes = 0
        self._frame_samples = 0
        self._frame_pattern: re.Pattern[bytes] | None = None
        self._run_pattern: re.Pattern[bytes] | None = None
        self._sample_rate_hz = OUTPUT_RATE_HZ

    @property
    def original(self) -> Original | None:
        if not (self._keeps_original and self.has_manifest):
            return None
        return Original(self._given_bytes, (*self._taken_out, SkippedBytes(self._given_bytes, self._held)))

    def feed(self, data: bytes) -> Chunk:
        self._held = self._held + data if self._held else bytes(data)
        sound_ranges: list[tuple[int, int]] = []
        samples = 0
        while True:
            if self._skip_bytes:
                self._drop_skipped()
            end, frames = self._plain_run()
            if frames:
                sound_ranges.append((self._at, end))
                self._at = end
                self._frame_count += frames
                samples += frames * self._frame_samples
            header = self._next_header()
            if header is None or len(self._held) < self._at + header.frame_bytes:
                break
            end = self._at + header.frame_bytes
            if not _is_tag_frame(self._held[self._at : end], header):
                sound_ranges.append((self._at, end))
                self._frame_count += 1
                samples += header.samples
            self._at = end
        if self._keeps_original and self._frame_count and not self.has_manifest:
            # A manifest comes before the first frame.
            self._forget_original()
        if self._keeps_original:
            self._keep_taken_out(sound_ranges)
        out = _join_ranges(self._held, sound_ranges)
        self._held, self._at = self._held[self._at :], 0
        return Chunk(out, samples, self._sample_rate_hz)

    def flush(self) -> Chunk:
        if self._held and not self._frame_count:
            raise EngineFailed("the engine's MP3 stream ended before its first whole frame")
        return Chunk(sample_rate_hz=self._sample_rate_hz)

    def _keep_taken_out(self, sound_ranges: list[tuple[int, int]]) -> None:
        """Store the bytes that are no sound, up to a limit."""
        begin = 0
        for start, end in (*sound_ranges, (self._at, self._at)):
            if begin < start:
                self._taken_out.append(SkippedBytes(self._given_bytes, self._held[begin:start]))
            self._given_bytes += end - start
            begin = end
        if sum(len(each.data) for each in self._taken_out) > _MOST_TAKEN_OUT:
            self._forget_original()

    def _forget_original(self) -> None:
        self._keeps_original = False
        self._taken_out.clear()

    def _drop_skipped(self) -> None:
        dropped = min(self._skip_bytes, len(self._held) - self._at)
        tag = self._tag_end + self._held[self._at : self._at + dropped]
        self.has_manifest = self.has_manifest or _MANIFEST_MARK in tag
        self._tag_end = tag[-len(_MANIFEST_MARK) :]
        self._at += dropped
        self._skip_bytes -= dropped

    def _plain_run(self) -> tuple[int, int]:
        """Return the end and the number of the whole frames at the front whose headers are known already.

        Nearly all frames are like that. They are skipped together: one by one, they would cost more than all
        other work on a passing clip.
        """
        held, at = self._held, self._at
        begin = held[at : at + _HEADER_BYTES]
        header = self._headers.get(begin)
        if header is None:
            return at, 0
        frames = _equal_frames(held, at, begin, header)
        end = at + frames * header.frame_bytes
        if len(held) < end + self._least_bytes:
            return end, frames
        run_end, more = self._mixed_run(end)
        return run_end, frames + more

    def _mixed_run(self, at: int) -> tuple[int, int]:
        """Return the end and the number of the whole frames from `at` on with any known header."""
        if self._run_pattern is None or self._frame_pattern is None:
            any_of = b"(?:" + b"|".join(_frame_expression(*seen) for seen in self._headers.items()) + b")"
            self._frame_pattern = re.compile(any_of, re.DOTALL)
            self._run_pattern = re.compile(any_of + b"*+", re.DOTALL)
        run = self._run_pattern.match(self._held, at)
        end = run.end() if run else at
        return end, sum(1 for _ in self._frame_pattern.finditer(self._held, at, end))

    def _next_header(self) -> FrameHeader | None:
        """Read the header at the front and skip tags before it. None means that more bytes are needed."""
        while len(self._held) >= self._at + _HEADER_BYTES:
            tag_bytes = _tag_bytes(self._held, self._at)
            if tag_bytes is None:
                return self._checked_header()
            if tag_bytes == 0:
                return None
            self._skip_bytes = tag_bytes
            self._drop_skipped()
        return None

    def _checked_header(self) -> FrameHeader:
        begin = self._held[self._at : self._at + _HEADER_BYTES]
        header = self._headers.get(begin) or frame_header(begin)
        if header is None:
            raise EngineFailed(f"the engine's MP3 stream is broken after {self._frame_count} frames")
        if self._frame_count and header.sample_rate_hz != self._sample_rate_hz:
            raise EngineFailed(
                f"the engine's MP3 stream changes from {self._sample_rate_hz} to {header.sample_rate_hz} Hz"
            )
        self._sample_rate_hz = header.sample_rate_hz
        if begin not in self._headers and len(self._headers) < _MOST_FRAME_KINDS:
            self._least_bytes = min(self._least_bytes or header.frame_bytes, header.frame_bytes)
            self._headers[begin] = header
            # All frames of one sample rate have as many samples.
            self._frame_samples = header.samples
            self._frame_pattern = self._run_pattern = None
        return header


def _join_ranges(data: bytes, spans: list[tuple[int, int]]) -> bytes:
    if not spans:
        return b""
    end = spans[0][0]
    for span in spans:
        if span[0] != end:
            return b"".join([data[start:end] for start, end in spans])
        end = span[1]
    return data[spans[0][0] : end]


def _equal_frames(held: bytes, at: int, begin: bytes, header: FrameHeader) -> int:
    """Count the whole frames from `at` on. Return 0 if one begins with other bytes or may be an index.

    At a constant bit rate without padding, all begin alike: one slice has the same byte of all headers.
    """
    size = header.frame_bytes
    frames = (len(held) - at) // size
    end = at + frames * size
    for offset in range(_HEADER_BYTES):
        if held[at + offset : end : size] != begin[offset : offset + 1] * frames:
            return 0
    for mark_at, marks in ((at + header.index_at, _INDEX_MARKS), (at + _VBRI_AT, _VBRI_MARKS)):
        firsts = held[mark_at : mark_at + frames * size : size]
        for mark in marks:
            number = firsts.find(mark[0])
            while number >= 0:
                if held.startswith(mark, mark_at + number * size):
                    return 0
                number = firsts.find(mark[0], number + 1)
    return frames


def _frame_expression(begin: bytes, header: FrameHeader) -> bytes:
    """Return the expression for a whole frame that begins with these four bytes and has no index."""
    index, vbri = header.index_at - _HEADER_BYTES, _VBRI_AT - _HEADER_BYTES
    marks = b"(?!.{%d}(?:Xing|Info))(?!.{%d}VBRI)" % (index, vbri)
    return re.escape(begin) + marks + b".{%d}" % (header.frame_bytes - _HEADER_BYTES)


def _tag_bytes(held: bytes, at: int) -> int | None:
    """Return the size of the tag at `at`: None if there is none, 0 if more bytes are needed to know it."""
    if held.startswith(b"TAG", at):
        return _ID3V1_BYTES
    if not held.startswith(b"ID3", at):
        return None
    if len(held) < at + _ID3V2_HEADER_BYTES:
        return 0
    size = 0
    for byte in held[at + 6 : at + _ID3V2_HEADER_BYTES]:
        size = size << 7 | byte & 0x7F
    has_footer = bool(held[at + 5] & 0x10)
    return _ID3V2_HEADER_BYTES * (1 + has_footer) + size


def _is_tag_frame(frame: bytes, header: FrameHeader) -> bool:
    """Return whether a frame has an index instead of sound: its side information is all zeros."""
    is_vbri = frame[_VBRI_AT : _VBRI_AT + 4] in _VBRI_MARKS
    if not is_vbri and frame[header.index_at : header.index_at + 4] not in _INDEX_MARKS:
        return False
    return not any(frame[_HEADER_BYTES + 2 : _VBRI_AT if is_vbri else header.index_at])
