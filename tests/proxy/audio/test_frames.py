"""What an engine encoded itself: tags go, frames are counted, broken streams are told."""

import io

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.audio.encode import open_encoder
from proxy.audio.formats import USUAL_FORMS, Chunk
from proxy.audio.frames import AdtsFrames, OpusPages, RawFrames, open_frames
from proxy.audio.frames_mp3 import Mp3Frames, frame_header
from speech_engine import EngineFailed
from tests.proxy.audio.pieces import body, cut, encoded
from tests.sound import decoded, tone
from tests.tables import each_row

ID3V1 = b"TAG" + b"x" * 125
SECONDS = 0.5


def foreign_mp3(rate_hz: int, layout: str = "mono", **options: str) -> bytes:
    """What another encoder would send: by default an ID3v2 tag, then a Xing frame, then the frames."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp3", options=options) as container:
        container.metadata["title"] = "a title that does not belong into an answer"
        stream = container.add_stream("libmp3lame", rate=rate_hz, layout=layout)
        assert isinstance(stream, av.AudioStream)
        pcm = np.frombuffer(tone(440, SECONDS, rate_hz), "<i2").astype(np.int16).reshape(1, -1)
        if layout == "stereo":
            pcm = np.repeat(pcm, 2, axis=1)
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout=layout)
        frame.sample_rate = rate_hz
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return file.getvalue()


def read(data: bytes, sizes: list[int]) -> list[Chunk]:
    frames = Mp3Frames()
    return [*(frames.feed(piece) for piece in cut(data, sizes)), frames.flush()]


TAGGED = foreign_mp3(44_100, "stereo")
JOINED = TAGGED + ID3V1 + TAGGED


@each_row("rate_hz", [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])
@each_row("layout", ["mono", "stereo"])
def test_tags_go_and_every_sample_is_counted(rate_hz: int, layout: str) -> None:
    data = foreign_mp3(rate_hz, layout)
    assert data.startswith(b"ID3")
    assert b"Xing" in data or b"Info" in data
    chunks = read(data + ID3V1, [4_096])
    out = body(chunks)
    assert frame_header(out[:4]) is not None
    assert not any(tag in out for tag in (b"ID3", b"Xing", b"Info", b"TAG", b"title"))
    assert {chunk.sample_rate_hz for chunk in chunks} == {rate_hz}
    heard = decoded(out, "mp3")
    assert sum(chunk.samples for chunk in chunks) == len(heard.samples)
    assert heard.seconds == pytest.approx(SECONDS, abs=0.2)
    assert heard.pitch_hz == pytest.approx(440, abs=4)


@settings(max_examples=min(60, settings().max_examples), deadline=None)
@given(sizes=st.lists(st.integers(1, 700), min_size=1, max_size=8))
def test_any_pieces_give_the_same_bytes_and_counts(sizes: list[int]) -> None:
    whole, pieces = read(JOINED, [len(JOINED)]), read(JOINED, sizes)
    assert body(pieces) == body(whole)
    assert sum(chunk.samples for chunk in pieces) == sum(chunk.samples for chunk in whole) > 40_000


def test_two_files_behind_one_another_are_twice_the_frames_of_one() -> None:
    once, twice = read(TAGGED, [999]), read(JOINED, [999])
    assert body(twice) == body(once) * 2


def test_the_header_of_a_vbri_index_goes_too() -> None:
    frames = body(read(TAGGED, [4_096]))
    header = frame_header(frames[:4])
    assert header is not None
    index = (frames[:4] + bytes(32) + b"VBRI").ljust(header.frame_bytes, b"\x11")
    assert body(read(index + frames, [100])) == frames


def test_an_id3_tag_with_a_footer_is_as_long_as_it_says() -> None:
    frames = body(read(TAGGED, [4_096]))
    tag = b"ID3\x04\x00\x10" + bytes([0, 0, 2, 1]) + b"\xff" * 257 + b"3DI\x04\x00\x10" + bytes([0, 0, 2, 1])
    assert body(read(tag + frames, [7])) == frames


def test_the_output_of_our_own_encoder_passes_unchanged() -> None:
    data = body(encoded(open_encoder(USUAL_FORMS["mp3"]), cut(tone(440, 1.0), [4_800])))
    assert body(read(data, [333])) == data


def test_a_frame_cut_at_the_end_is_dropped_and_not_counted() -> None:
    whole, short = read(TAGGED, [4_096]), read(TAGGED[:-1], [4_096])
    assert body(whole).startswith(body(short))
    assert sum(chunk.samples for chunk in whole) - sum(chunk.samples for chunk in short) == 1_152


def test_frames_come_out_as_soon_as_they_are_whole() -> None:
    frames = body(read(TAGGED, [4_096]))
    header = frame_header(frames[:4])
    assert header is not None
    reader = Mp3Frames()
    assert reader.feed(frames[: header.frame_bytes - 1]) == Chunk(b"", 0, 44_100)
    last_byte = frames[header.frame_bytes - 1 : header.frame_bytes]
    assert reader.feed(last_byte) == Chunk(frames[: header.frame_bytes], 1_152, 44_100)


@each_row(
    "garbage",
    [
        b"<html>Bad gateway</html>",
        b"RIFF\xff\xff\xff\xffWAVE",
        b"\xff\xfb\x00\x00" + bytes(500),  # free format
        b"\xff\xfd\x90\x00" + bytes(500),  # layer II
        b"\xff\xfb\x9c\x00" + bytes(500),  # a reserved sample rate
        b"OggS" + bytes(500),
    ],
)
def test_bytes_that_are_not_mp3_are_the_engines_failure(garbage: bytes) -> None:
    with pytest.raises(EngineFailed, match="broken after 0 frames"):
        Mp3Frames().feed(garbage)
    good = body(read(TAGGED, [4_096]))
    with pytest.raises(EngineFailed, match=r"broken after \d\d frames"):
        Mp3Frames().feed(good + garbage)


def test_a_change_of_rate_midway_is_refused() -> None:
    with pytest.raises(EngineFailed, match="from 44100 to 22050 Hz"):
        Mp3Frames().feed(TAGGED + foreign_mp3(22_050))


@each_row("crumb", [b"\xff", b"ID3\x04", b"not"])
def test_a_stream_of_less_than_a_frame_is_refused_at_its_end(crumb: bytes) -> None:
    frames = Mp3Frames()
    assert frames.feed(crumb).data == b""
    with pytest.raises(EngineFailed, match="before its first whole frame"):
        frames.flush()


def test_an_empty_stream_is_empty() -> None:
    assert Mp3Frames().flush() == Chunk()


@given(data=st.binary(max_size=100), sizes=st.lists(st.integers(1, 9), min_size=1))
def test_pcm_passes_in_whole_samples(data: bytes, sizes: list[int]) -> None:
    frames = RawFrames(24_000, 2)
    chunks = [*(frames.feed(piece) for piece in cut(data, sizes)), frames.flush()]
    assert body(chunks) == data[: len(data) // 2 * 2]
    assert sum(chunk.samples for chunk in chunks) == len(data) // 2
    assert all(len(chunk.data) == 2 * chunk.samples for chunk in chunks)


@settings(max_examples=min(200, settings().max_examples))
@given(data=st.binary(max_size=3_000))
def test_no_bytes_break_the_reader_otherwise(data: bytes) -> None:
    frames = Mp3Frames()
    try:
        chunk = frames.feed(b"\xff\xf3\x44\xc4" + data) + frames.flush()
    except EngineFailed:
        return
    assert len(chunk.data) <= len(data) + 4


def test_only_mp3_and_pcm_pass_through() -> None:
    assert isinstance(open_frames(USUAL_FORMS["mp3"]), Mp3Frames)
    assert isinstance(open_frames(USUAL_FORMS["pcm"]), RawFrames)
    assert isinstance(open_frames(USUAL_FORMS["aac"]), AdtsFrames)
    assert isinstance(open_frames(USUAL_FORMS["opus"]), OpusPages)
    assert [open_frames(USUAL_FORMS[other]) for other in ("flac", "wav")] == [None] * 2
