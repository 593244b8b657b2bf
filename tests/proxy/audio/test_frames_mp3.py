"""An engine's MP3, whatever it is: the reader gives what a reader frame after frame gives."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.clip import clip
from proxy.audio.formats import OUTPUT_RATE_HZ, Chunk
from proxy.audio.frames_mp3 import FrameHeader, Mp3Frames, Original, frame_header
from speech_engine import EngineFailed
from tests.tables import each_row

pytestmark = pytest.mark.slow

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


# Without and with padding, stereo, another bit rate, MPEG 1, frames of 24 bytes, and another sample rate.
_HEADERS = [
    bytes.fromhex(header)
    for header in (
        "fff384c4",
        "fff386c4",
        "fff38404",
        "fff394c4",
        "fffb90c4",
        "fffb92c4",
        "fff314c4",
        "fff380c4",
    )
]
_MARKS = [b"Xing", b"Info", b"VBRI", b"Xinx", b"X", b"V"]


@st.composite
def _frame(draw: st.DrawFn, headers: st.SearchStrategy[bytes]) -> bytes:
    begin = draw(headers)
    header = frame_header(begin)
    assert header is not None
    frame = bytearray(begin + bytes([draw(st.sampled_from((0, 7)))]) * (header.frame_bytes - 4))
    if draw(st.integers(0, 5)) == 0:
        at, mark = draw(st.sampled_from((header.index_at, 36, 50))), draw(st.sampled_from(_MARKS))
        frame[at : at + len(mark)] = mark
    return bytes(frame)


def _id3(size: int) -> bytes:
    return b"ID3\x04\x00\x00" + bytes([0, 0, size >> 7, size & 0x7F]) + b"t" * size


def _run(begin: bytes, frames: int, payload: int) -> bytes:
    header = frame_header(begin)
    assert header is not None
    return (begin + bytes([payload]) * (header.frame_bytes - 4)) * frames


_ANY_FRAME = _frame(st.sampled_from(_HEADERS))
_EVEN_FRAME = _frame(st.sampled_from(_HEADERS[:2]))
_RUN = st.builds(
    _run, st.sampled_from(_HEADERS[:4]), st.integers(1, 12), st.sampled_from((0, 7, ord("X"), ord("V")))
)
_TAG = st.one_of(
    st.integers(0, 300).map(_id3), st.just(b"TAG" + bytes(125)), st.just(b"TAG"), st.just(b"ID3\x04")
)
_GARBAGE = st.binary(min_size=1, max_size=8)
_STREAMS = st.lists(st.one_of(_RUN, _RUN, _ANY_FRAME, _EVEN_FRAME, _TAG, _GARBAGE), max_size=8).map(b"".join)
_CLIP = clip()


def _given(frames: Mp3Frames | ReferenceFrames, pieces: list[bytes]) -> list[Chunk | str]:
    given: list[Chunk | str] = []
    try:
        for piece in pieces:
            given.append(frames.feed(piece))
        given.append(frames.flush())
    except EngineFailed as error:
        given.append(str(error))
    return given


@given(_STREAMS, st.lists(st.integers(0, 4000), max_size=12), st.integers(0, 3))
def test_any_stream_in_any_pieces_is_read_as_frame_after_frame(
    stream: bytes, cuts: list[int], lost: int
) -> None:
    stream = stream[: len(stream) - lost]
    at = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[start:end] for start, end in pairwise(at)]
    assert _given(Mp3Frames(), pieces) == _given(ReferenceFrames(), pieces)


@given(st.integers(150, 50_000), st.integers(0, 48_000))
def test_a_real_clip_in_pieces_is_read_as_frame_after_frame(size: int, start: int) -> None:
    pieces = [_CLIP[at : at + size] for at in range(start, len(_CLIP), size)]
    assert _given(Mp3Frames(), pieces) == _given(ReferenceFrames(), pieces)


SIGNED_TAG = b"ID3\x03\x00\x00\x00\x00\x00\x08jumdc2pa"
_END = b"TAG" + bytes(125)


def made_again(sound: bytes, original: Original) -> bytes:
    assert original.sound_bytes == len(sound)
    parts, at = [], 0
    for place, data in original.taken_out:
        parts += [sound[at:place], data]
        at = place
    return b"".join([*parts, sound[at:]])


@each_row("size", [1, 7, 1000, 10**6])
@each_row(
    "whole",
    [SIGNED_TAG + _CLIP, SIGNED_TAG + _CLIP + _END + SIGNED_TAG + _CLIP, SIGNED_TAG + _CLIP[:-5]],
    ids=["a file", "two", "a broken frame at its end"],
)
def test_a_signed_file_can_be_made_again_from_its_sound_and_little_else(whole: bytes, size: int) -> None:
    frames = Mp3Frames(keeps_original=True)
    sound = b"".join(frames.feed(whole[at : at + size]).data for at in range(0, len(whole), size))
    original = frames.original
    assert original is not None
    assert made_again(sound, original) == whole
    assert sum(len(each.data) for each in original.taken_out) < 2000


def test_of_other_files_and_of_long_tags_nothing_is_kept() -> None:
    long = SIGNED_TAG[:6] + bytes([0, 64, 0, 0]) + SIGNED_TAG[10:] + bytes(2**20 - 8) + _CLIP
    for whole, keeps in ((_CLIP, True), (SIGNED_TAG + _CLIP, False), (long, True)):
        frames = Mp3Frames(keeps_original=keeps)
        frames.feed(whole)
        assert frames.original is None
