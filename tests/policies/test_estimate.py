"""How long a text will sound: longer texts longer, faster speech shorter, scripts at their own pace."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import estimate
from tests.tables import each_row

alphabets = st.sampled_from(["abc xyz", "กขคงจ", "あいう", "中文字", "한국어", "абв", "0123 "])
speeds = st.floats(0.25, 4.0)


@each_row(
    ("text", "seconds"),
    [
        ("", 0.0),
        ("a" * 140, 12.0),
        ("ก" * 110, 12.0),
        ("あ" * 60, 12.0),
        ("中" * 45, 12.0),
        ("한" * 65, 12.0),
        ("1" * 14, 9.6),
        ("ก 1" * 10, 9.04),
        ("©" * 14, 9.6),
    ],
)
def test_a_script_has_its_pace_with_a_fifth_on_top(text: str, seconds: float) -> None:
    assert estimate.speech_seconds(text, 1.0) == pytest.approx(seconds, rel=0.02)
    assert estimate.speech_seconds(text, 2.0) == pytest.approx(seconds / 2, rel=0.02)


def test_a_number_that_was_not_written_out_is_as_long_as_in_words() -> None:
    assert estimate.written_length("in 1987") == len("in ") + 4 * 8


@given(alphabets, st.data(), speeds)
def test_more_text_is_never_shorter(alphabet: str, data: st.DataObject, speed: float) -> None:
    text = data.draw(st.text(alphabet, min_size=1, max_size=60))
    more = text + data.draw(st.sampled_from(text)) * data.draw(st.integers(1, 5))
    assert estimate.speech_seconds(text * 2, speed) >= estimate.speech_seconds(text, speed) > 0
    assert estimate.speech_seconds(more, speed) > estimate.speech_seconds(text, speed)


@given(st.text(max_size=200), speeds, speeds)
def test_faster_is_never_longer(text: str, one: float, other: float) -> None:
    assert estimate.speech_seconds(text, max(one, other)) <= estimate.speech_seconds(text, min(one, other))


@given(st.floats(0, 1e6))
def test_the_cap_leaves_room_and_is_never_under_ten_seconds(estimated_s: float) -> None:
    assert estimate.cap_seconds(estimated_s) == max(10.0, 4 * estimated_s)


@pytest.mark.parametrize(("source_s", "least_s", "most_s"), [(0.2, 0.0, 1.21), (6.0, 4.7, 7.3)])
def test_what_repeats_a_recording_is_about_as_long(source_s: float, least_s: float, most_s: float) -> None:
    assert estimate.least_repetition_s(source_s) == pytest.approx(least_s)
    assert estimate.most_repetition_s(source_s) == pytest.approx(most_s)
