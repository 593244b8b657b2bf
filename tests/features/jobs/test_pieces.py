"""Where long texts are cut."""

import re
import time
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from policies import text_tags
from proxy.features.jobs.core.fields import Chapter
from proxy.features.jobs.kinds.speech.request import step_text
from proxy.features.jobs.texts.chapters import cut_text, find_sayings, saying_of
from proxy.features.jobs.texts.pieces import MOST_TURNS, Saying, Turns, pieces, speaker_tags
from proxy.text_rules.markdown import read_markdown
from speech_engine.text import cleaning
from tests.tables import each_row

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
@example("it is long. it is long. it[Ana] [sad] long. it is long. it is long. ", ("Ana", "Ben"), 26)
@given(_TAGGED, st.sampled_from([(), ("Ana", "Ben")]), st.integers(1, 30))
def test_a_piece_is_said_as_by_all_tags_before_it_in_its_chapter(
    text: str, names: tuple[str, ...], border: int
) -> None:
    border = min(border, len(text))
    chapters = [Chapter(title="", start=start, end=end) for start, end in ((0, border), (border, len(text)))][
        : 2 if 0 < border < len(text) else 0
    ]
    parts = [(each.start, each.end) for each in chapters] or [(0, len(text))]
    cut = [
        (begin + start, begin + end)
        for begin, last in parts
        for start, end in pieces(text[begin:last], "en", names, 30)
    ]
    sayings = find_sayings(text, chapters, names, cut)
    turns = {begin: Turns(text[begin:last], names) for begin, last in parts}
    for number, (start, end) in enumerate(cut, 1):
        begin = max(each for each in turns if each <= start)
        said = saying_of(sayings, names, number)
        assert said == turns[begin].saying_at(start - begin)
        # The text after a piece changes nothing.
        assert said == Turns(text[begin:end], names).saying_at(start - begin)
        alone = find_sayings(text, chapters, names, [(start, end)])
        assert said == saying_of(alone, names, 1), "as the steps of an earlier version's job"


def who_says(text: str, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Who says each letter, without what no voice speaks."""
    turns, text = text_tags.find_turns(text, names), text_tags.without_tags(text)
    return [
        (turn.name, letter) for turn in turns for letter in text[turn.start : turn.end] if letter.isalpha()
    ]


def test_names_alone_are_no_piece() -> None:
    text = "[Ana] One.\n" + "[Ben]\n[Ana]\n" * 400 + "[Ben] Two."
    spoken = [text[slice(*each)] for each in pieces(text, "en", ("Ana", "Ben"))]
    assert 2 <= len(spoken) < 5
    assert all("One." in each or "Two." in each for each in spoken)


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
    turns = Turns(text, names)
    steps = [
        step_text(text, names, 0, (start, end), Saying(turns.saying_at(start).name))[0]
        for start, end in pieces(text, "en", names, most)
    ]
    assert [each for step in steps for each in who_says(step, names)] == who_says(text, names)


@each_row(
    ("text", "names"),
    [
        ("[Ana] One. [Ben] Two. " * 10_000, ("Ana", "Ben")),
        ("[b]\nx\n" + "[b]\n" * 50_000 + "end.", ()),
        ("[b]\nx\n" + "[b]\n" * 50_000 + "end.", ("Ana", "Ben")),
        ("[happy] x " * 20_000, ()),
    ],
)
def test_the_sayings_of_all_pieces_are_found_by_one_search(text: str, names: tuple[str, ...]) -> None:
    seen, turns = list[int](), text_tags.find_turns
    cut = pieces(text, "en", names)

    def turns_of(text: str, names: Sequence[str]) -> tuple[text_tags.Turn, ...]:
        seen.append(len(text))
        return turns(text, names)

    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(text_tags, "find_turns", turns_of)
        sayings = find_sayings(text, (), names, cut)
    assert (sum(seen), len(cut) > 90) == (len(text), True)
    assert [saying_of(sayings, names, number) for number in (1, len(cut))] == [
        Turns(text, names).saying_at(cut[place][0]) for place in (0, -1)
    ]


def test_no_more_speakers_are_looked_for_than_are_shown() -> None:
    text = "[pause 1s]\n[Ana] x\n[ Ana ]\n" + "".join(f"[{number}]\nx\n" for number in range(99))
    assert speaker_tags(text) == ["Ana", *map(str, range(99))]
    began = time.process_time()
    assert len(speaker_tags(text + "[more]\n" * 1_000_000)) == 100
    assert time.process_time() - began < 0.5  # the whole text takes seconds


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


def code(lines: int) -> str:
    return "```sh\n" + "echo one two three four five six.\n\n" * lines + "```\n"


@each_row("lines", [(60, 2), (2, 60), (60, 60), (59, 1), (200, 3), (1, 1)])
@each_row("paragraphs", [1, 30, 90])
def test_no_code_is_in_the_pieces_and_no_prose_between_is_lost(
    lines: tuple[int, int], paragraphs: int
) -> None:
    first, second = map(code, lines)
    prose = "This is some prose. It goes on.\n\n" * paragraphs
    text = f"# The title\n\n{prose}{first}\n{prose}{second}The end."
    found, _ = cut_text(text, (), "en", (), 2000, skips_code=True)
    read = [read_markdown(text[slice(*each)]) or text[slice(*each)] for each in found]
    said = " ".join(each if isinstance(each, str) else each.text for each in read)
    assert said.split() == ["The", "title", *prose.split(), *prose.split(), "The", "end."]
    assert all(end - start <= 2000 for start, end in found)


def test_a_chapter_of_code_alone_is_read_and_its_open_block_hides_no_other_chapter() -> None:
    texts = [code(2), "One.\n```\nTwo.", "Three.\n```\nFour.\n```"]
    ends = [len("".join(texts[: number + 1])) for number in range(3)]
    chapters = [Chapter(title="", start=start, end=end) for start, end in zip((0, *ends), ends, strict=False)]
    found, _ = cut_text("".join(texts), chapters, "en", (), 2000, skips_code=True)
    assert ["".join(texts)[slice(*each)] for each in found] == [*texts[:2], "Three.\n"]


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
