"""Frame after frame, by expressions alone: what the reader with strides must give for any stream."""

from __future__ import annotations

import re

from proxy.audio.formats import OUTPUT_RATE_HZ, Chunk
from proxy.audio.frames_mp3 import FrameHeader, frame_header
from speech_engine import EngineFailed

_HEADER_BYTES = 4
_ID3V1_BYTES = 128
_ID3V2_HEADER_BYTES = 10
_VBRI_AT = 36
_INDEX_MARKS = (b"Xing", b"Info")
_KINDS = 16


class ReferenceFrames:
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
        # Build the expression for a whole frame that begins with these four bytes and has no index in it.
        index, vbri = header.index_at - _HEADER_BYTES, _VBRI_AT - _HEADER_BYTES
        marks = b"(?!.{%d}(?:Xing|Info))(?!.{%d}VBRI)" % (index, vbri)
        self._seen[begin] = re.escape(begin) + marks + b".{%d}" % (header.frame_bytes - _HEADER_BYTES)
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
