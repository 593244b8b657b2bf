"""What cloud engines are made of: calls joined from segments, events out of bytes, PCM in pieces, forms."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.forms import form_of
from speech_engine import CloneRequest, CloneSample, EngineFailed, Segment
from speech_engine.cloud import Call, EventStream, joined
from speech_engine.pcm import PcmPieces

WORDS = st.lists(st.text("ab ", min_size=1, max_size=12), max_size=20)
PLACES = st.lists(st.integers(0, 1000), max_size=20)


def _segments(*texts: str) -> tuple[Segment, ...]:
    return tuple(Segment(text, 0, len(text)) for text in texts)


def _cut(data: bytes, places: list[int]) -> list[bytes]:
    cuts = sorted(place % (len(data) + 1) for place in places)
    return [data[start:end] for start, end in pairwise([0, *cuts, len(data)])]


def test_as_many_segments_as_fit_are_one_call() -> None:
    assert joined(_segments("One.", "Two.", "Three."), 9) == (Call("One. Two.", 0), Call("Three.", 2))
    assert joined(_segments("One.", "Two."), 8) == (Call("One.", 0), Call("Two.", 1))
    assert joined((), 9) == ()


@given(texts=WORDS, most=st.integers(12, 60))
def test_no_call_is_too_long_or_could_have_taken_the_next_segment(texts: list[str], most: int) -> None:
    calls = joined(_segments(*texts), most)
    assert " ".join(call.text for call in calls) == " ".join(texts)
    for call, after in pairwise(calls):
        assert len(call.text) <= most < len(call.text) + 1 + len(texts[after.segment])
        assert call.segment < after.segment


def test_no_repr_of_a_call_tells_its_text() -> None:
    assert "secret" not in repr(Call("secret", 0))
    request = CloneRequest(name="secret", samples=(CloneSample(b"secret", text="secret"),))
    assert "secret" not in repr(request) + repr(request.samples)


@given(size=st.integers(0, 3000), places=PLACES, most=st.none() | st.integers(0, 2000))
def test_pcm_is_cut_to_whole_samples_however_it_comes(size: int, places: list[int], most: int | None) -> None:
    data = bytes(number % 251 for number in range(size))
    pieces = PcmPieces(8_000, most)
    out = [pcm for part in _cut(data, places) for pcm in pieces.feed(part)]
    end = size // 2 * 2 if most is None else min(size // 2 * 2, 2 * most)
    assert b"".join(out) == data[:end]
    assert all(0 < len(pcm) <= 1600 and len(pcm) % 2 == 0 for pcm in out)
    assert pieces.is_full == (most is not None and end == 2 * most)


def test_half_a_sample_of_one_stream_is_not_the_first_half_of_the_next() -> None:
    pieces = PcmPieces(8_000)
    assert list(pieces.feed(b"abc")) == [b"ab"]
    pieces.begin()
    assert list(pieces.feed(b"de")) == [b"de"]


@given(places=PLACES, end=st.sampled_from([b"\n", b"\r\n"]))
def test_events_are_the_same_wherever_their_bytes_are_split(places: list[int], end: bytes) -> None:
    lines = [
        b": comment",
        b"",
        b"event: speech",
        b"data: one",
        b"data:two",
        b"",
        b"",
        b"id: 7",
        b"data: last",
    ]
    stream = EventStream()
    events = [event for part in _cut(end.join(lines), places) for event in stream.feed(part)]
    assert events == [b"one\ntwo"]
    assert stream.flush() == [b"last"]
    assert stream.flush() == []


def test_a_line_without_an_end_is_not_kept_for_ever() -> None:
    stream = EventStream()
    with pytest.raises(EngineFailed, match="longer than any"):
        [stream.feed(bytes(1024 * 1024)) for _ in range(17)]


def test_a_form_is_taken_apart() -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nclone\r\n'
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n'
        b"\r\n\x00\r\n\xff\r\n--x--\r\n"
    )
    form = form_of("multipart/form-data; boundary=x", body)
    assert form.fields == {"purpose": "clone"}
    assert [(file.field, file.name, file.media_type, file.data) for file in form.files] == [
        ("file", "a.wav", "audio/wav", b"\x00\r\n\xff")
    ]
    assert form_of("application/json", b"{}") == ({}, (), {})
