"""From marks to words, whatever the library marks."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from plugins.espeak.rendering import Mark, WordTimes
from speech_engine import Word


def test_marks_inside_a_word_belong_to_it() -> None:
    text = "costs $1,026 on"
    marks = [Mark(0, 0), Mark(6, 10), Mark(7, 20), Mark(9, 30), Mark(6, 40), Mark(13, 50)]
    assert WordTimes(text, 1000).words(marks) == (Word(1000, 0, 5), Word(1010, 6, 12), Word(1050, 13, 15))


def test_a_mark_behind_a_word_is_not_another_word() -> None:
    assert WordTimes("one two", 0).words([Mark(0, 0), Mark(3, 5), Mark(4, 9)]) == (
        Word(0, 0, 3),
        Word(9, 4, 7),
    )


def test_punctuation_around_a_word_is_left_out_unless_it_is_all_there_is() -> None:
    assert WordTimes("(don't!) ***", 0).words([Mark(1, 0), Mark(9, 5)]) == (Word(0, 1, 6), Word(5, 9, 12))


@given(
    text=st.text(alphabet=st.sampled_from("ab1,.$ \n\u2014é\U0001f600"), max_size=40),
    positions=st.lists(st.integers(-3, 50)),
    first_sample=st.integers(0, 10**6),
)
def test_words_lie_in_the_text_in_order_each_once(text: str, positions: list[int], first_sample: int) -> None:
    marks = [Mark(position, index) for index, position in enumerate(positions)]
    times = WordTimes(text, first_sample)
    words = [word for mark in marks for word in times.words([mark])]
    for word in words:
        assert 0 <= word.spoken_start < word.spoken_end <= len(text)
        assert not any(letter.isspace() for letter in text[word.spoken_start : word.spoken_end])
    for one, next_one in pairwise(words):
        assert one.spoken_end <= next_one.spoken_start
        assert first_sample <= one.sample_offset < next_one.sample_offset
