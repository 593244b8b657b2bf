"""The time of a word, shared out over its letters."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.features.elevenlabs_api.alignment import (
    LetterTimes,
    WordSpan,
    alignment_of,
    chunk_alignment,
    word_spans,
)

TEXT = "Hi, you! Yes."
HI, YOU, YES = WordSpan(0, 2, 0, 200), WordSpan(4, 7, 300, 500), WordSpan(9, 12, 600, 900)


def test_a_word_ends_behind_its_marks_and_its_blank() -> None:
    letters = LetterTimes()
    first, rest = letters.time_words(TEXT, [HI]), letters.time_words(TEXT, [YOU, YES])
    assert (first.characters, rest.characters) == ("Hi, ", "you! Yes.")
    assert first.starts_ms == [0, 50, 100, 150]
    assert first.ends_ms == [50, 100, 150, 200]
    assert rest.starts_ms[0] == 300
    assert letters.time_words(TEXT, [HI, YOU]).characters == ""


def test_what_has_no_word_is_timed_at_the_end() -> None:
    letters = LetterTimes()
    assert word_spans([], 0.6) == []
    timed = letters.time_words("Hi ...", [WordSpan(0, 2, 0, 300)]).joined(letters.time_rest("Hi ...", 600))
    alignment = alignment_of(timed)
    assert alignment is not None
    assert "".join(alignment.characters) == "Hi ..."
    assert alignment.character_end_times_seconds == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


def test_a_message_counts_from_a_moment() -> None:
    letters = LetterTimes()
    letters.time_words(TEXT, [HI])
    alignment = chunk_alignment(letters.time_words(TEXT, [YOU]), 200)
    assert alignment is not None
    assert alignment.chars == [*"you! "]
    assert alignment.char_start_times_ms == [100, 140, 180, 220, 260]
    assert alignment.char_durations_ms == [40] * 5
    assert chunk_alignment(letters.time_words(TEXT, [])) is None


@given(st.text("ab, .é漢", max_size=30), st.data())
def test_each_character_is_timed_once_and_in_order(text: str, data: st.DataObject) -> None:
    places = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)))
    times = sorted(data.draw(st.lists(st.integers(0, 5000), min_size=len(places), max_size=len(places))))
    words = [
        WordSpan(places[number], places[number + 1], times[number], times[number + 1])
        for number in range(0, len(places) - 1, 2)
    ]
    letters, timed = LetterTimes(), []
    while words:
        count = data.draw(st.integers(1, len(words)))
        timed.append(letters.time_words(text, words[:count]))
        words = words[count:]
    timed.append(letters.time_rest(text, 6000))
    starts = [start for each in timed for start in each.starts_ms]
    assert "".join(each.characters for each in timed) == text
    assert len(starts) == len(text)
    assert starts == sorted(starts)
