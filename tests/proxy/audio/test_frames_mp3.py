"""An engine's MP3, whatever it is: the reader gives what a reader frame after frame gives."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bench.clip import clip
from proxy.audio.formats import Chunk
from proxy.audio.frames_mp3 import Mp3Frames, Original, frame_header
from speech_engine import EngineFailed
from tests.proxy.audio.mp3_reference import ReferenceFrames
from tests.tables import each_row

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
