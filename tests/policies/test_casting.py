"""Who says what in a dialogue: tags of the cast switch, everything else is text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import casting
from policies.casting import MOST_CHARACTERS, MOST_NAMES, Turn
from speech_engine.text import cleaning

CAST = ("Ana", "Ben")


def said(text: str, names: tuple[str, ...] = CAST) -> list[tuple[str, str]]:
    return [(turn.name, text[turn.start : turn.end]) for turn in casting.turns(text, names)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[Ana] Olá. [Ben] Hi.", [("Ana", " Olá. "), ("Ben", " Hi.")]),
        ("[Ana]Olá.\n[Ben]Hi.\n[Ana]Bye.", [("Ana", "Olá.\n"), ("Ben", "Hi.\n"), ("Ana", "Bye.")]),
        ("Once upon a time. [Ben] Hi.", [("Ana", "Once upon a time. "), ("Ben", " Hi.")]),
        ("No tag at all.", [("Ana", "No tag at all.")]),
        ("[Ben] In the [Ana] middle.", [("Ben", " In the "), ("Ana", " middle.")]),
        ("[Ben] One. [Ben] Two.", [("Ben", " One. "), ("Ben", " Two.")]),
        ("[ANA] Loud. [ben] Soft.", [("Ana", " Loud. "), ("Ben", " Soft.")]),
        ("[ Ana ] Room. [Ana]", [("Ana", " Room. ")]),
        ("[Carl] is not here. [Ben] No.", [("Ana", "[Carl] is not here. "), ("Ben", " No.")]),
        ("[Ana] [laughs] Ha. [Ben [Ana] Hm.", [("Ana", " [laughs] Ha. [Ben "), ("Ana", " Hm.")]),
        ("[Ana][Ben] Hi.", [("Ben", " Hi.")]),
        ("[Ana] ... [Ben] Hi. [Ana] !?", [("Ben", " Hi. ")]),
        ("[Ana\n] is no tag.", [("Ana", "[Ana\n] is no tag.")]),
        ("[Ana] [Ben]", []),
        ("...", []),
    ],
)
def test_turns(text: str, expected: list[tuple[str, str]]) -> None:
    assert said(text) == expected


@pytest.mark.parametrize("tag", ["[José Luís]", "[JOSE\u0301 LUÍS]", "[ josé   luís ]"])
def test_a_name_is_known_however_its_accents_and_blanks_are_written(tag: str) -> None:
    assert said(f"{tag} Olá.", ("Ana", "José Luís")) == [("José Luís", " Olá.")]


@pytest.mark.parametrize(
    ("names", "is_good"),
    [
        (("Ana",), True),
        (tuple(f"n{number}" for number in range(MOST_NAMES)), True),
        (("น้องแพร", "O'Neil", "R2-D2", "x" * MOST_CHARACTERS), True),
        ((), False),
        (tuple(f"n{number}" for number in range(MOST_NAMES + 1)), False),
        (("",), False),
        (("  ",), False),
        (("Ana]",), False),
        (("A\nna",), False),
        (("x" * (MOST_CHARACTERS + 1),), False),
        (("Ana", "ANA"), False),
        (("Ana", " Ana"), False),
        (("Zoé", "Zoe\u0301"), False),
    ],
)
def test_a_cast_is_made_of_good_names(names: tuple[str, ...], is_good: bool) -> None:
    assert (casting.fault(names) is None) == is_good


texts = st.lists(
    st.one_of(st.sampled_from(["[Ana]", "[Ben]", "[Carl]", "[", "]", " ", "Hi.", "..."]), st.text(max_size=8))
).map("".join)


@given(texts)
def test_turns_are_in_order_and_apart_and_miss_only_tags_and_silence(text: str) -> None:
    turns = casting.turns(text, CAST)
    at = 0
    left_out: list[str] = []
    for turn in turns:
        left_out.append(text[at : turn.start])
        assert at <= turn.start < turn.end <= len(text)
        assert cleaning.is_speech(text[turn.start : turn.end])
        at = turn.end
    left_out.append(text[at:])
    for between in left_out:
        for name in ("[Ana]", "[Ben]"):
            between = between.replace(name, "")
        assert not cleaning.is_speech(between)


@given(st.lists(st.tuples(st.sampled_from(CAST), st.sampled_from(["One.", "Zwei", "สาม"])), min_size=1))
def test_a_dialogue_that_is_written_down_is_read_back(dialogue: list[tuple[str, str]]) -> None:
    text = "".join(f"[{name}]{words}" for name, words in dialogue)
    assert said(text) == dialogue
    assert all(isinstance(turn, Turn) for turn in casting.turns(text, CAST))
