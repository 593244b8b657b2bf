"""Words for a measured pitch and pace, and names of voices for people."""

from hypothesis import given
from hypothesis import strategies as st

from policies.voice_titles import title_of
from proxy.features.samples.sound_words import PITCH_HZ, WORDS_A_MINUTE, pace_word, pitch_word
from tests.tables import each_row

_ORDER = ("low", "middle", "high")


@each_row(
    ("hz", "gender", "word"),
    [
        (160.0, "male", "high"),
        (160.0, "female", "low"),
        (160.0, None, "middle"),
        (160.0, "neutral", "middle"),
        (90.0, "male", "low"),
        (None, "male", None),
    ],
)
def test_a_pitch_is_judged_by_gender(hz: float | None, gender: str | None, word: str | None) -> None:
    assert pitch_word(hz, gender) == word


@each_row(
    ("words", "language", "pace"),
    [
        (153.5, "en-US", "slow"),
        (210.0, "en-GB", "measured"),
        (240.0, "en", "quick"),
        (130.0, "hi", "measured"),
        (200.0, "th", None),
        (None, "en", None),
    ],
)
def test_a_pace_is_judged_by_language(words: float | None, language: str, pace: str | None) -> None:
    assert pace_word(words, language) == pace


@given(st.floats(1, 1000), st.floats(1, 1000), st.sampled_from([*PITCH_HZ, None]))
def test_a_higher_pitch_never_has_a_lower_word(one: float, other: float, gender: str | None) -> None:
    low, high = (pitch_word(each, gender) for each in sorted((one, other)))
    assert low is not None
    assert high is not None
    assert _ORDER.index(low) <= _ORDER.index(high)
    assert all(each.lower < each.upper for each in (*PITCH_HZ.values(), *WORDS_A_MINUTE.values()))


@each_row(
    ("name", "title"),
    [
        ("af_heart", "Heart"),
        ("am_eric", "Eric"),
        ("en_US-joe-medium", "Joe"),
        ("alloy", "Alloy"),
        ("mary_ann", "Mary Ann"),
        ("English (America)", "English (America)"),
        ("สมชาย", "สมชาย"),
        ("<b>x</b>", "<b>x</b>"),
        ("", ""),
    ],
)
def test_a_voice_has_a_name_for_people(name: str, title: str) -> None:
    assert title_of(name) == title
