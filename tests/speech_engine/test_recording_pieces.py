"""A recording in pieces: where it is cut, and where the segments of its pieces then lie."""

from collections import deque

import numpy as np
import pytest

from speech_engine import HEARING_HZ, EngineFailed, recording_pieces
from speech_engine.language_names import english_name, language_tag
from speech_engine.pcm import PcmReader
from speech_engine.recording_pieces import SegmentJoiner, TimedText, WavPiece, take_words
from tests.tables import each_row

SECOND = 2 * HEARING_HZ
PIECE = WavPiece(10.0, bytes(4 * SECOND))


async def test_a_recording_is_cut_in_the_middle_of_its_quietest_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recording_pieces, "MOST_PIECE_S", 10.0)
    samples = np.random.default_rng(1).integers(-9_000, 9_000, 25 * HEARING_HZ).astype("<i2")
    pauses = [(7.0, 7.6), (12.0, 13.0), (15.5, 16.5)]
    for start_s, end_s in pauses:
        samples[round(start_s * HEARING_HZ) : round(end_s * HEARING_HZ)] //= 100
    pcm = samples.tobytes()
    pieces = [each async for each in recording_pieces.recording_pieces(PcmReader(pcm, 4_801))]
    assert b"".join(each.pcm for each in pieces) == pcm
    assert [each.start_s for each in pieces] == pytest.approx([0.0, 7.3, 16.3], abs=0.2)
    assert sum(each.seconds for each in pieces) == pytest.approx(25.0)


async def test_half_a_sample_at_the_end_is_left_out_and_nothing_is_no_piece() -> None:
    for length, pieces in ((0, []), (1, []), (5, [4])):
        found = recording_pieces.recording_pieces(PcmReader(bytes(length), 3))
        assert [len(each.pcm) async for each in found] == pieces


@each_row(
    ("found", "placed"),
    [
        (TimedText(" Hi ", 1.0, 2.0), (11.0, 12.0)),
        (TimedText("Hi"), (10.0, 14.0)),
        (TimedText("Hi", 1.0, 9.0), (11.0, 14.0)),
        (TimedText("Hi", -0.5, 0.5), (10.0, 10.5)),
        (TimedText("Hi", 2.0, 1.0), (12.0, 12.0)),
        (TimedText("Hi", 6.0, 7.0), (14.0, 14.0)),
    ],
)
def test_times_lie_in_their_piece(found: TimedText, placed: tuple[float, float]) -> None:
    joined = SegmentJoiner().join(PIECE, found)
    assert joined is not None
    assert (joined.start_s, joined.end_s) == placed
    assert joined.text == "Hi"


@each_row(
    "found",
    [
        TimedText("A", 0.0, 9e9),
        TimedText("A", float("nan"), 1.0),
        TimedText("A", -2.0, 1.0),
        TimedText("A" * 40_000),
    ],
)
def test_times_and_texts_that_cannot_be_are_the_providers_fault(found: TimedText) -> None:
    with pytest.raises(EngineFailed):
        SegmentJoiner().join(PIECE, found)


def test_segments_and_words_never_step_back_and_blanks_part_only_what_has_them() -> None:
    joiner = SegmentJoiner()
    first = joiner.join(PIECE, TimedText("One", 2.0, 3.0), [TimedText("One", 1.0, 9.0)])
    second = joiner.join(PIECE, TimedText("two", 1.0, 4.0))
    assert first is not None
    assert second is not None
    assert (first.words[0].start_s, first.words[0].end_s) == (12.0, 13.0)
    assert (second.start_s, second.text) == (12.0, " two")
    assert joiner.join(PIECE, TimedText("  ", 3.0, 4.0)) is None
    third = joiner.join(PIECE, TimedText("你好", 3.0, 4.0), language="zh")
    assert third is not None
    assert third.text == "你好"


@each_row(
    ("text", "words", "parts"),
    [
        ("Well, hello there!", ["Well", "hello", "there"], ["Well,", "hello", "there!"]),
        ('"Yes," he said.', ["Yes", "he", "said"], ['"Yes,"', "he", "said."]),
        ('He said: "No," then', ["He", "said", "No", "then"], ["He", "said:", '"No,"', "then"]),
        ("你好，世界。", ["你好", "世界"], ["你好，", "世界。"]),
        ("It is 5 PM.", ["It", "is", "five", "PM"], ["It", "is 5", "PM."]),
        ("♪", [], ["♪"]),
        ("no no", ["no", "no", "no"], ["no", "no"]),
    ],
)
def test_words_get_their_part_of_the_text(text: str, words: list[str], parts: list[str]) -> None:
    left = deque(TimedText(word, at, at + 1.0) for at, word in enumerate(words))
    found = take_words(TimedText(text, 0.0, min(len(words), 4) - 0.5 if text == "no no" else 9.0), left)
    assert [word.text for word in found] == parts


@each_row(
    ("named", "tag"),
    [
        *(("english", "en"), ("Portuguese", "pt"), ("pt-BR", "pt"), ("eng", "en"), ("cmn", "zh")),
        *(("haitian creole", "ht"), ("jw", "jv"), ("fil", "fil"), ("xx", "xx"), ("", ""), ("not one", "")),
    ],
)
def test_a_language_has_one_tag(named: str, tag: str) -> None:
    assert language_tag(named) == tag


def test_a_tag_has_its_name_whatever_its_region() -> None:
    assert [english_name(tag) for tag in ("pt-BR", "jw", "my", "ht", "xx")] == [
        *("portuguese", "javanese", "myanmar", "haitian creole", "xx"),
    ]
