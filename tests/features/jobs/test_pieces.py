"""Where long texts are cut."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from policies import text_tags
from proxy.features.jobs.kinds.speech.request import step_text
from proxy.features.jobs.texts.pieces import (
    MOST_CHARACTERS,
    MOST_TURNS,
    Saying,
    Turns,
    pieces,
    saying_at,
)
from speech_engine.text import cleaning

_TEXTS = st.text(st.sampled_from("ab é. !?\n[]Ana,—\u200d"), max_size=600)


@given(_TEXTS, st.integers(10, 80))
def test_pieces_are_short_in_order_and_have_all_that_is_spoken(text: str, most: int) -> None:
    found = pieces(text, "en", ("Ana",), most)
    end = 0
    for first, last in found:
        assert not cleaning.is_speech(text[end:first])
        assert end <= first < last <= first + most
        assert cleaning.is_speech(text[first:last])
        end = last
    assert not cleaning.is_speech(text[end:])


_WORDS = ["it is ", "long. ", "\n\n", "— ", "  ", "[", "]", ":"]
_PAUSES = ["[pause 1s] ", "[pause:0.5s]"]
_TAGS = ["[Ana] ", "[Ben]", "ANA: ", "**Ben:** ", "\nBen： ", "[happy] ", "[sad]"]
_TAGGED = st.lists(st.sampled_from([*_WORDS, *_TAGS]), max_size=80).map("".join)


@example("]long. ]it is it is it is it is [Ana] ", ("Ana", "Ben"), 1)
@given(_TAGGED, st.sampled_from([(), ("Ana", "Ben")]), st.integers(1, 30))
def test_a_piece_is_said_as_by_all_tags_before_it(text: str, names: tuple[str, ...], reach: int) -> None:
    turns = Turns(text, names)
    for start, end in pieces(text, "en", names, 30):
        assert saying_at(text, names, start, end, reach) == turns.saying_at(start)


def who_says(text: str, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Who says each letter, without what no voice speaks."""
    turns, text = text_tags.find_turns(text, names), text_tags.without_tags(text)
    return [
        (turn.name, letter) for turn in turns for letter in text[turn.start : turn.end] if letter.isalpha()
    ]


@example("it [pause:0.5s]long. [pause 1s] ", 19)
@given(
    st.lists(st.sampled_from([*_WORDS[:3], *_PAUSES])).map(lambda found: "".join(["it ", *found])),
    st.integers(12, 60),
)
def test_no_pause_is_cut_and_none_begins_a_later_piece(text: str, most: int) -> None:
    found = pieces(text, "en", most=most)
    places = [each.start for each in text_tags.find_pauses(text)]
    assert all(any(start <= place < end for start, end in found) for place in places)
    for start, end in found[1:]:
        assert not re.match(r"\s*\[pause(?: 1|:0\.5)s\]", text[start:end])


@example("[Ben][it is it is it is ", 20)
@example("**Ben:** \n\n  **Ben:** ", 20)
@given(_TAGGED, st.integers(20, 60))
def test_the_pieces_are_said_by_who_says_the_whole(text: str, most: int) -> None:
    names = ("Cy", "Ana", "Ben")
    steps = [
        step_text(text, names, start, end, has_emotion=False)[0]
        for start, end in pieces(text, "en", names, most)
    ]
    assert [each for step in steps for each in who_says(step, names)] == who_says(text, names)


def test_a_piece_of_a_very_long_text_with_a_cast_is_found_by_what_is_near(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text, seen = "[Ana] One. [Ben] Two. " * 20_000, list[int]()
    found = pieces(text, "en", ("Ana", "Ben"))
    turns = text_tags.find_turns

    def turns_of(text: str, names: Sequence[str], start: int, end: int) -> tuple[text_tags.Turn, ...]:
        seen.append(end - start)
        return turns(text, names, start, end)

    monkeypatch.setattr(text_tags, "find_turns", turns_of)
    for start, end in found[1:]:
        saying_at(text, ("Ana", "Ben"), start, end)
    assert max(seen) <= 2 * MOST_CHARACTERS


def test_a_text_is_cut_after_paragraphs_then_lines_then_sentences_then_words() -> None:
    def cut(text: str) -> list[str]:
        return [text[start:end] for start, end in pieces(text, "en", most=40)]

    assert cut("One two. Three four.\n\nFive six. Seven eight, nine.") == [
        "One two. Three four.\n\n",
        "Five six. Seven eight, nine.",
    ]
    assert cut("One two. Three four,\nfive six. Seven eight, nine.")[0] == "One two. Three four,\n"
    assert cut("One two three. Four five six. Seven eight nine ten.")[0] == "One two three. Four five six. "
    assert cut("one two three four five six seven eight nine ten")[0].endswith(" ")
    assert cut("x" * 100) == ["x" * 40, "x" * 40, "x" * 20]


def test_what_says_nothing_is_no_piece() -> None:
    assert pieces(f"Hello.\n\n{'* ' * 100}\n\nBye.", "en", most=50)[0] == (0, 50)
    assert len(pieces(f"Hello.\n\n{'* ' * 100}\n\nBye.", "en", most=50)) == 2
    assert pieces("\n \n", "en") == []


def test_a_turn_that_goes_on_in_the_next_piece_keeps_its_speaker_and_emotion() -> None:
    text = f"[Ana] {'a ' * 30}[ben] [sad] {'b ' * 30}"
    turns = Turns(text, ("Ana", "Ben"))
    places = (0, 10, 66, 80, len(text))
    assert [turns.saying_at(place) for place in places] == [
        Saying(),
        Saying("Ana"),
        Saying(),
        Saying("Ben", "sad"),
        Saying(),
    ]
    assert Turns("[Cy] Hello.", ("Ana",)).saying_at(8) == Saying(), "before a name, the first member speaks"
    assert Turns("[happy] Hello you.", ()).saying_at(14) == Saying("", "happy")
    found = pieces(text, "en", ("Ana", "Ben"), most=80)
    assert found[0][1] == 66, "it is cut before the next turn"


def test_no_cut_is_inside_of_a_tag() -> None:
    names = ("Ana Maria Lopes", "Ben")
    for before in range(1, 40):
        for tag in ("[Ana Maria Lopes]", "Ana Maria Lopes:"):
            text = f"{'x' * before}\n{tag} {'y ' * 30}"
            cuts = [end for _, end in pieces(text, "en", names, most=18)]
            begin = text.index(tag)
            assert not [end for end in cuts if begin < end < begin + len(tag)], before


def test_a_piece_has_not_too_many_turns() -> None:
    text = "[A] x [B] y " * MOST_TURNS
    for start, end in pieces(text, "en", ("A", "B")):
        assert text[start:end].count("[") <= MOST_TURNS
