"""The words between those that an engine told: each has a time, in order, and says that it was computed."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.speech.spoken_word import SpokenWord
from proxy.speech_steps.word_times import GrowingWords, WordPositions
from speech_engine import Finished, Segment, Started, Word, Words
from tests.proxy.api.inside import inside
from tests.proxy.api.scripted import RATE_HZ, Scripted, sound
from tests.proxy.speech.test_candidate_stream import BODY, CONFIG
from tests.tables import each_row

Shown = list[tuple[str, float, bool]]


def places(text: str, *ends: int) -> WordPositions:
    begins = (0, *ends)
    segments = tuple(Segment(text[a:b], a, b) for a, b in pairwise((*begins, len(text))))
    return WordPositions(text, segments)


def shown(text: str, words: Sequence[SpokenWord]) -> Shown:
    return [
        (text[each.source_start : each.source_end], each.start_seconds, each.is_interpolated)
        for each in words
    ]


@each_row(
    ("text", "told", "words"),
    [
        # Two words in one go.
        (
            "in the sea",
            [(0.0, 0, 2), (1.0, 7, 10)],
            [("in", 0.0, False), ("the", 0.4, True), ("sea", 1.0, False)],
        ),
        # The first and the last ones; 2.0 is the end of the sound.
        ("a b c", [(1.0, 2, 3)], [("a", 0.0, True), ("b", 1.0, False), ("c", 1.5, True)]),
        # None at all.
        ("ab cd", [], [("ab", 0.0, True), ("cd", 1.0, True)]),
        # A word that was told in pieces, or with signs of its own, is whole.
        ("one-two (3)", [(0.0, 0, 3), (0.5, 4, 7), (1.0, 8, 11)], None),
        ("… — !", [], []),
    ],
)
def test_what_was_left_out_shares_the_time_with_the_word_before(
    text: str, told: list[tuple[float, int, int]], words: Shown | None
) -> None:
    given_words = [SpokenWord(*each) for each in told]
    found = GrowingWords(places(text), given_words).so_far(2.0)
    assert shown(text, found) == (shown(text, given_words) if words is None else words)


def test_a_gap_may_reach_over_the_end_of_a_sentence() -> None:
    text = "One two. Three four."
    told = [SpokenWord(0.0, 0, 3), SpokenWord(2.0, 15, 19)]
    found = GrowingWords(places(text, 9), told).so_far()
    assert [each[0] for each in shown(text, found)] == ["One", "two", "Three", "four"]


@given(
    text=st.text(alphabet="ab1 .—é漢-", max_size=60),
    places_told=st.lists(st.tuples(st.integers(0, 59), st.integers(1, 8)), max_size=12),
    steps=st.integers(1, 4),
)
def test_words_only_grow_and_none_with_a_letter_is_left_out(
    text: str, places_told: list[tuple[int, int]], steps: int
) -> None:
    told: list[SpokenWord] = []
    words = GrowingWords(places(text), told)
    before: list[SpokenWord] = []
    end = 0
    for number, (start, width) in enumerate(sorted(places_told)):
        if end <= start < len(text):
            end = min(len(text), start + width)
            told.append(SpokenWord(float(number), start, end))
        if number % steps == 0:
            found = words.so_far()
            assert list(found[: len(before)]) == before
            before = list(found)
    found = words.so_far(20.0)
    assert list(found[: len(before)]) == before
    assert list(words.so_far(20.0)) == list(found)
    assert all(one.start_seconds <= other.start_seconds for one, other in pairwise(found))
    assert all(one.source_start < other.source_start for one, other in pairwise(found))
    assert [each for each in found if not each.is_interpolated] == told
    timed = {at for each in found for at in range(each.source_start, each.source_end)}
    start = 0
    for segment in places(text).segments:
        for token in segment.spoken.split():
            start = text.index(token, start)
            assert not any(map(str.isalnum, token)) or timed & {*range(start, start + len(token))}
            start += len(token)


@pytest.mark.parametrize("answer", ["json", "words"])
async def test_both_kinds_of_answer_tell_them_marked_and_in_order(tmp_path: Path, answer: str) -> None:
    timed = Words((Word(0, 0, 2), Word(RATE_HZ, 7, 10)))
    events = [Started(RATE_HZ), timed, *sound(2.0), Finished()]
    body = {**BODY, "input": "in the sea so", "cache": False}
    as_json = {"response_format": "json", "audio_format": "wav"}
    as_events = {"stream_format": "words", "response_format": "pcm"}
    async with inside(tmp_path, CONFIG, {"one": Scripted(*events, times_words=True)}) as server:
        more = as_json if answer == "json" else as_events
        said = await server.ask("POST", "/v1/audio/speech", body={**body, **more})
    text = said.text
    at = [text.index(f'"word":"{word}"') for word in ("in", "the", "sea", "so")]
    assert at == sorted(at)
    assert text.count('"interpolated":true') == 2
