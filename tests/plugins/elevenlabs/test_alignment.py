"""Words from characters, however the alignment comes: ahead of its audio, with gaps, or counting anew."""

from plugins.elevenlabs.alignment import Alignment, WordTimes
from speech_engine import Segment, Words
from speech_engine.cloud import joined

RATE_HZ = 1_000
SEGMENTS = (Segment("One two.", 0, 8), Segment("Three four.", 8, 19))
TEXT = "One two. Three four."


def _times(begin: int = 0) -> WordTimes:
    (call,) = joined(SEGMENTS, 100)
    assert call.text == TEXT
    return WordTimes(call, SEGMENTS, begin, RATE_HZ)


def _alignment(text: str, first_s: float = 0.0) -> Alignment:
    """A tenth of a second for each character."""
    return Alignment(tuple(text), tuple(first_s + place / 10 for place in range(len(text))))


def _told(words: list[Words]) -> list[tuple[str, int]]:
    return [
        (SEGMENTS[each.segment].spoken[word.spoken_start : word.spoken_end], word.sample_offset)
        for each in words
        for word in each.words
    ]


def test_a_word_is_told_when_its_audio_has_come() -> None:
    times = _times()
    times.add_times(_alignment(TEXT), 0)
    assert _told(times.take_due(450)) == [("One", 0), ("two.", 400)]
    assert _told(times.take_due(899)) == []
    assert _told(times.take_due(5_000)) == [("Three", 900), ("four.", 1_500)]


def test_at_the_end_what_is_left_is_told_within_the_audio() -> None:
    times = _times()
    times.add_times(_alignment(TEXT), 0)
    assert [word for _, word in _told(times.take_due(600, is_over=True))] == [0, 400, 600, 600]


def test_a_later_call_counts_from_where_it_begins() -> None:
    times = _times(begin=7_000)
    times.add_times(_alignment(TEXT), 7_000)
    assert _told(times.take_due(20_000)) == [
        ("One", 7_000),
        ("two.", 7_400),
        ("Three", 7_900),
        ("four.", 8_500),
    ]


def test_times_that_step_back_count_from_their_own_line() -> None:
    times = _times(begin=7_000)
    times.add_times(_alignment(TEXT[:9]), 7_000)
    times.add_times(_alignment(TEXT[9:]), 8_000)
    assert _told(times.take_due(20_000)) == [
        ("One", 7_000),
        ("two.", 7_400),
        ("Three", 8_000),
        ("four.", 8_600),
    ]


def test_characters_that_are_left_out_or_put_in_shift_no_word() -> None:
    times = _times()
    times.add_times(_alignment("One* two Three four."), 0)
    assert [word for word, _ in _told(times.take_due(20_000))] == ["One", "two.", "Three", "four."]


def test_another_text_times_nothing() -> None:
    times = _times()
    times.add_times(_alignment("ÄÖÜäöüß"), 0)
    assert times.take_due(20_000, is_over=True) == []
