"""Words that no engine timed: each has a moment in its sentence, in order, and a place in the text."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.latin.front_end import LatinFrontEnd
from plugins.plain.plugin import PlainFrontEnd
from policies import segments
from proxy.speech.spoken_word import SpokenWord
from proxy.speech_steps import word_times
from proxy.speech_steps.word_times import InterpolatedWords, WordPositions
from speech_engine import Encoded, Event, Finished, Rewritten, Segment, Started, Word, Words
from tests.plugins.front_ends import TEXTS
from tests.proxy.api.inside import inside
from tests.proxy.api.scripted import RATE_HZ, Scripted, sound, spoken
from tests.proxy.speech.test_candidate_stream import BODY, CONFIG, mp3
from tests.tables import each_row

FRONT_ENDS = st.sampled_from([PlainFrontEnd(), LatinFrontEnd()])


def interpolate(
    places: WordPositions, begins_s: Mapping[int, float], ends_s: float
) -> Sequence[SpokenWord] | None:
    moments = [*begins_s.items(), (len(places.segments), ends_s)]
    return InterpolatedWords(places, moments).so_far()


def words_of(text: str, found: Sequence[SpokenWord]) -> list[str]:
    return [text[word.source_start : word.source_end] for word in found]


@each_row(
    ("text", "words"),
    [
        ("“Hello,” he said.", ["Hello", "he", "said"]),
        ("don't e-mail me — or do…now", ["don't", "e-mail", "me", "or", "do", "now"]),
        ("it's $5 (50%) & more", ["it's", "$5", "50", "more"]),
        ("cafe\u0301 नमस्ते", ["cafe\u0301", "नमस्ते"]),
        ("你好，World。", ["你", "好", "World"]),
        ("… 👍 !", []),
    ],
)
def test_a_word_is_what_has_a_letter_or_a_digit(text: str, words: list[str]) -> None:
    found = interpolate(WordPositions(text, (Segment(text, 0, len(text)),)), {0: 0.0}, 1.0)
    assert found is not None
    assert words_of(text, found) == words


def test_words_share_the_time_of_their_own_sentence_by_their_length() -> None:
    text = "A bcd. Ef gh"
    places = WordPositions(text, (Segment("A bcd.", 0, 7), Segment("Ef gh", 7, 12)), begin=100)
    found = interpolate(places, {0: 1.0, 1: 2.0}, 5.0)
    assert found == [
        SpokenWord(1.0, 100, 101, True, True),
        SpokenWord(1.25, 102, 105, True),
        SpokenWord(2.0, 107, 109, True, True),
        SpokenWord(3.5, 110, 112, True),
    ]


def test_a_number_is_as_long_as_it_is_spoken() -> None:
    text = "12 cats on"
    segment = Segment("twelve cats on", 0, len(text), (Rewritten(0, 6, 0, 2),))
    found = interpolate(WordPositions(text, (segment,)), {0: 0.0}, 12.0)
    assert found is not None
    assert [word.start_seconds for word in found] == [0.0, 6.0, 10.0]


def test_sentences_that_were_spoken_in_one_go_have_no_times() -> None:
    places = WordPositions(
        "One. Two. ?!", (Segment("One.", 0, 5), Segment("Two.", 5, 10), Segment("?!", 10, 12))
    )
    assert interpolate(places, {0: 0.0}, 2.0) is None
    # A sentence without a word needs none.
    assert interpolate(places, {0: 0.0, 1: 1.0}, 2.0) is not None


def test_words_are_told_when_their_sentence_is_over_and_stay() -> None:
    text = "One. ?! Two three. Four. Five."
    cut = [(0, 5), (5, 8), (8, 19), (19, 25), (25, 30)]
    moments: list[tuple[int, float]] = []
    places = WordPositions(text, tuple(Segment(text[a:b], a, b) for a, b in cut))
    words = InterpolatedWords(places, moments)
    told = []
    for moment in [(0, 0.0), (2, 1.0), (4, 2.0), (5, 3.0)]:
        moments.append(moment)
        told.append(words_of(text, words.so_far() or []))
    # The third sentence had no end of its own: nobody knows where its words end, nor those after it.
    assert told == [[], ["One"], ["One"], ["One"]]


def calls_for(text: str, segment: Segment) -> int:
    """Count the functions that run, also those of C, while the words of a text are timed."""
    counted = 0

    def count(frame: FrameType, event: str, _about: object) -> None:
        nonlocal counted
        # What the collector of garbage calls is no part of it.
        counted += frame.f_code.co_filename == word_times.__file__ and event in {"call", "c_call"}

    places = WordPositions(text, (segment,))
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        interpolate(places, {0: 0.0}, 9.0)
    finally:
        sys.setprofile(before)
    return counted


def numbers(many: int) -> tuple[str, Segment]:
    rewritten = tuple(Rewritten(at * 4, at * 4 + 3, at * 2, at * 2 + 1) for at in range(many))
    return "1 " * many, Segment("one " * many, 0, many * 2, rewritten)


def one_for_all(many: int) -> tuple[str, Segment]:
    spoken = "one " * many
    return "1 " * many, Segment(spoken, 0, many * 2, (Rewritten(0, len(spoken), 0, many * 2),))


@pytest.mark.parametrize("made", [numbers, one_for_all])
def test_twice_the_words_are_twice_the_work(made: Callable[[int], tuple[str, Segment]]) -> None:
    few, many = calls_for(*made(200)), calls_for(*made(400))
    assert few < many <= 2 * few


def test_each_sentence_is_computed_once_and_only_for_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []
    real = word_times.interpolate

    def counting(places: WordPositions, number: int, since_s: float, until_s: float) -> list[SpokenWord]:
        computed.append(number)
        return real(places, number, since_s, until_s)

    monkeypatch.setattr(word_times, "interpolate", counting)
    moments = [(0, 0.0), (1, 1.0)]
    words = InterpolatedWords(WordPositions("A. B.", (Segment("A.", 0, 3), Segment("B.", 3, 5))), moments)
    assert computed == []
    for _ in range(3):
        words.so_far()
    assert computed == [0]
    moments.append((2, 2.0))
    for _ in range(3):
        words.so_far()
    assert computed == [0, 1]


@settings(deadline=None)
@given(TEXTS | st.text(max_size=80), FRONT_ENDS, st.integers(5, 60), st.data())
def test_any_words_are_in_order_within_the_sound_and_where_they_were_written(
    text: str, front_end: PlainFrontEnd | LatinFrontEnd, longest: int, data: st.DataObject
) -> None:
    cut = segments.fit_segments(front_end.prepare(text, "en", {}), longest)
    lengths = data.draw(st.lists(st.floats(0.0, 30.0), min_size=len(cut), max_size=len(cut)))
    begins_s = {number: sum(lengths[:number]) for number in range(len(cut))}
    whole_s = sum(lengths)
    found = interpolate(WordPositions(text, cut), begins_s, whole_s)
    assert found is not None
    assert all(word.is_interpolated for word in found)
    starts = [0.0, *(word.start_seconds for word in found), round(whole_s, 3)]
    assert all(earlier <= later for earlier, later in pairwise(starts))
    places = [word.place for word in found]
    assert all(start < end for start, end in places)
    assert all(before[1] <= after[0] for before, after in pairwise(places))
    # What is left over has nothing to say.
    inside_words = {at for start, end in places for at in range(start, end)}
    assert not [at for at, character in enumerate(text) if character.isalnum() and at not in inside_words]


async def json_of(path: Path, engine: Scripted, **change: object) -> dict[str, Any]:
    async with inside(path, CONFIG, {"one": engine}) as server:
        body = {**BODY, "response_format": "json", "audio_format": "wav", **change}
        answer = await server.ask("POST", "/v1/audio/speech", body=body)
    found: dict[str, Any] = answer.json()
    return found


def starts_of(answer: dict[str, Any]) -> dict[str, float]:
    return {word["word"]: word["start_seconds"] for word in answer["words"]}


@each_row("speed", [0.5, 1.0, 2.0])
async def test_an_engine_without_times_has_interpolated_words_that_follow_the_speed(
    tmp_path: Path, speed: float
) -> None:
    events: list[Event] = [Started(RATE_HZ), *sound(1.0, segment=0), *sound(0.5, segment=1), Finished()]
    answer = await json_of(tmp_path, Scripted(*events), input="Abc def. Ghi.", speed=speed)
    assert starts_of(answer) == {"Abc": 0.0, "def": 0.5 / speed, "Ghi": 1.0 / speed}
    assert answer["duration_seconds"] == 1.5 / speed
    assert answer["words"][2] == {
        "word": "Ghi",
        "start_seconds": 1.0 / speed,
        "source_start": 9,
        "source_end": 12,
        "interpolated": True,
    }


async def told_of(path: Path, engine: Scripted, **change: object) -> list[list[tuple[str, float]]]:
    """Return the words of each event that has some."""
    async with inside(path, CONFIG, {"one": engine}) as server:
        body = {**BODY, "stream_format": "words", "response_format": "pcm", **change}
        answer = await server.ask("POST", "/v1/audio/speech", body=body)
    events = [json.loads(each.removeprefix("data: ")) for each in answer.text.split("\n\n") if each]
    assert events[-1]["type"] == "speech.audio.done"
    return [
        [(word["word"], word["start_seconds"]) for word in event["words"]]
        for event in events
        if event["type"] == "speech.audio.words"
    ]


async def test_events_tell_the_words_of_a_sentence_as_soon_as_it_is_over(tmp_path: Path) -> None:
    events: list[Event] = [Started(RATE_HZ), *sound(1.0, segment=0), *sound(0.5, segment=1), Finished()]
    told = await told_of(tmp_path, Scripted(*events), input="Abc def. Ghi.")
    assert told == [[("Abc", 0.0), ("def", 0.5)], [("Ghi", 1.0)]]


async def test_times_of_an_engine_are_kept_and_not_marked(tmp_path: Path) -> None:
    timed = Words((Word(RATE_HZ // 4, 0, 5), Word(RATE_HZ // 2, 6, 11)))
    answer = await json_of(tmp_path, Scripted(*spoken(1.0)[:-1], timed, Finished(), times_words=True))
    assert starts_of(answer) == {"Hello": 0.25, "there": 0.5}
    assert not [word for word in answer["words"] if "interpolated" in word]


async def test_bytes_that_pass_through_have_no_words(tmp_path: Path) -> None:
    events: list[Event] = [Started(RATE_HZ), Encoded("mp3", mp3(1.0, tags=False)), Finished()]
    answer = await json_of(tmp_path, Scripted(*events, formats=("mp3",)), audio_format="mp3")
    assert answer["words"] is None


async def test_a_model_that_may_speak_sentences_together_has_no_words(tmp_path: Path) -> None:
    answer = await json_of(tmp_path, Scripted(*spoken(1.0), joins_segments=True))
    assert answer["words"] is None


async def test_two_sentences_in_one_go_have_no_words(tmp_path: Path) -> None:
    answer = await json_of(tmp_path, Scripted(*spoken(1.0)), input="One two. Three four.")
    assert answer["words"] is None


async def test_a_kept_answer_has_the_same_words_marked_as_before(tmp_path: Path) -> None:
    engine = Scripted(*spoken(1.0))
    async with inside(tmp_path, CONFIG, {"one": engine}) as server:
        body = {**BODY, "response_format": "json", "cache": True}
        miss, hit = [await server.ask("POST", "/v1/audio/speech", body=body) for _ in range(2)]
    assert (len(engine.jobs), hit.headers["x-voxgate-cache"]) == (1, "hit")
    assert hit.json() == miss.json()
    assert [word["interpolated"] for word in hit.json()["words"]] == [True, True]
