"""Bytes to events, however they are cut: samples stay whole, headers stay out, and no tag is played."""

import io
import struct
import wave
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.openai.sound import encoded, wav_header
from plugins.openai.answer_reader import AnswerReader
from plugins.openai.settings import Format
from speech_engine import Audio, EngineExhausted, EngineFailed, Event, Started
from speech_engine.testing import job
from tests.plugins.openai.upstream import mp3_of, pcm_of
from tests.tables import each_row

PCM = bytes(range(256)) * 40
JOB = job("Hi.", "You.")


def _events_of(parts: list[bytes], format_: Format, most: int | None = None) -> list[Event]:
    reader = AnswerReader(job("Hi.", "You.", max_samples=most), format_, 24_000)
    reader.begin(0)
    return [event for part in parts for event in reader.feed(part)] + list(reader.end())


def _cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % len(data) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


PLACES = st.lists(st.integers(0, 100_000), max_size=30)


@given(PLACES)
def test_pcm_is_whole_samples_wherever_it_is_cut(places: list[int]) -> None:
    events = _events_of(_cut(PCM + b"\1", places), "pcm")
    assert events[0] == Started(24_000)
    assert pcm_of(events) == PCM
    assert all(len(event.pcm) % 2 == 0 for event in events if isinstance(event, Audio))


@given(PLACES, st.sampled_from([0, 0xFFFFFFFF, 0x7FFFFFFF, len(PCM)]))
def test_a_wav_in_place_of_pcm_loses_its_header(places: list[int], size: int) -> None:
    events = _events_of(_cut(wav_header(size, 22_050) + PCM, places), "pcm")
    assert events[0] == Started(22_050)
    assert pcm_of(events) == PCM


@given(PLACES)
def test_bytes_around_the_samples_of_a_wav_are_not_played(places: list[int]) -> None:
    sink = io.BytesIO()
    with wave.open(sink, "wb") as out:
        out.setparams((1, 2, 24_000, 0, "NONE", ""))
        out.writeframes(PCM)
    listed = b"LIST" + struct.pack("<I", 5) + b"abcde\0"
    file = sink.getvalue()
    assert pcm_of(_events_of(_cut(file[:12] + listed + file[12:] + listed, places), "wav")) == PCM


@given(PLACES)
def test_mp3_passes_byte_for_byte(places: list[int]) -> None:
    mp3 = encoded(PCM, "mp3")
    events = _events_of(_cut(mp3, places), "mp3")
    assert events[0] == Started(24_000)
    assert mp3_of(events) == mp3


def test_a_bare_frame_is_mp3_as_well_as_a_tag() -> None:
    mp3 = encoded(PCM, "mp3")
    bare = mp3[mp3.index(b"\xff\xf3") :]
    assert mp3[:3] == b"ID3"
    assert mp3_of(_events_of([bare], "mp3")) == bare


@each_row(
    ("data", "format_"),
    [
        (b"", "pcm"),
        (b"", "mp3"),
        (b"fLaC" + bytes(40), "pcm"),
        (b"OggS" + bytes(40), "pcm"),
        (b"ID3\4" + bytes(40), "pcm"),
        (b"fLaC" + bytes(40), "mp3"),
        (bytes(40), "mp3"),
        (bytes(40), "wav"),
        (b'{"error": {"code": null}}', "pcm"),
        (b"<html><body>Bad Gateway</body></html>", "mp3"),
        (b"a" * 200_000, "pcm"),
        (b"no", "wav"),
        (wav_header()[:40], "wav"),
        (b"RIFF\xff\xff\xff\xffWAVEdata\0\0\0\0" + PCM, "wav"),
        (wav_header().replace(b"\1\0\1\0", b"\3\0\1\0") + PCM, "wav"),
        (wav_header().replace(b"\1\0\1\0", b"\1\0\2\0") + PCM, "wav"),
        (wav_header(rate_hz=1) + PCM, "wav"),
        (b"RIFF\xff\xff\xff\xffWAVELIST\xff\xff\xff\x7f" + PCM, "wav"),
    ],
)
def test_an_answer_that_is_no_audio_is_a_failure_before_any_event(data: bytes, format_: Format) -> None:
    reader = AnswerReader(JOB, format_, 24_000)
    reader.begin(0)
    events: list[Event] = []
    with pytest.raises(EngineFailed):
        events.extend([*reader.feed(data), *reader.end()])
    assert events == []


def test_an_error_in_place_of_audio_says_which() -> None:
    with pytest.raises(EngineExhausted):
        _events_of([b'{"error": {"code":', b' "insufficient_quota"}}'], "pcm")


def test_the_limit_is_counted_in_time_whatever_the_rate() -> None:
    assert len(pcm_of(_events_of([PCM], "pcm", most=2_400))) == 4_800
    assert len(pcm_of(_events_of([wav_header(rate_hz=12_000) + PCM], "pcm", most=2_400))) == 2_400


def test_a_second_call_goes_on_where_the_first_ended() -> None:
    reader = AnswerReader(JOB, "pcm", 24_000)
    events = []
    for segment in (0, 1):
        reader.begin(segment)
        events += [*reader.feed(PCM + b"\1"), *reader.end()]
    assert pcm_of(events) == PCM + PCM
    assert [event for event in events if isinstance(event, Started)] == [Started(24_000)]
    assert {event.segment for event in events if isinstance(event, Audio)} == {0, 1}


def test_a_second_call_at_another_rate_is_a_failure() -> None:
    reader = AnswerReader(JOB, "pcm", 24_000)
    reader.begin(0)
    list(reader.feed(PCM))
    reader.begin(1)
    with pytest.raises(EngineFailed):
        list(reader.feed(wav_header(rate_hz=16_000) + PCM))
