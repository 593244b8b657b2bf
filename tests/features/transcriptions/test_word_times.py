"""Which computed times of words a recogniser may replace."""

from types import SimpleNamespace
from typing import Any

from proxy.api.speech_answers import WordTime
from proxy.features.transcriptions.word_times import _sentences
from proxy.speech.spoken_word import SpokenWord
from tests.tables import each_row


def word(at: int, *, is_interpolated: bool = True, begins_segment: bool = False) -> SpokenWord:
    return SpokenWord(float(at), at, at + 1, is_interpolated, begins_segment)


@each_row(
    ("words", "sentences"),
    [
        ([word(0, begins_segment=True), word(2), word(4, begins_segment=True)], [[0, 2], [4]]),
        # Nobody knows where the first sentence begins.
        ([word(0), word(2, begins_segment=True)], []),
        ([word(0, begins_segment=True), word(2, is_interpolated=False)], []),
        ([], []),
    ],
)
def test_words_are_sought_by_sentences_whose_beginnings_are_known(
    words: list[SpokenWord], sentences: list[list[int]]
) -> None:
    answer: Any = SimpleNamespace(speech=SimpleNamespace(words=words))
    times = [WordTime("a", each.start_seconds, *each.place) for each in words]
    computed: Any = SimpleNamespace(words=times)
    assert [[each.source_start for each in group] for group in _sentences(answer, computed)] == sentences
