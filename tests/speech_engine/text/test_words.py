"""Where the words of a lexicon stand in a text."""

import re
import time
from itertools import pairwise
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from speech_engine.text import cleaning, words
from speech_engine.text.words import FoundWord, UnchangedWords, WordFinder, word_finder
from tests.tables import each_row


@each_row(
    ("text", "lexicon", "said"),
    [
        ("nginx and NGINX.", {"nginx": "X"}, "X and X."),
        ("SQL, sql, Sql", {"SQL": "X"}, "X, sql, Sql"),
        ("Peça na 99, R$ 0,99, US$ 99 ou 99.", {"99": "X"}, "Peça na X, R$ 0,99, US$ 99 ou X."),
        ("1,99 99:30 99/2 3-99 99% 99, 99.", {"99": "X"}, "1,99 99:30 99/2 3-99 X% X, X."),
        ("5G em 1.5G", {"5G": "X"}, "X em 1.5G"),
        ("Rio de Janeiro, Rio", {"Rio": "1", "Rio de Janeiro": "2"}, "2, 1"),
        ("reruns run runs run2 _run run", {"run": "X"}, "reruns X runs run2 _run X"),
        ("C++ and C, C++x", {"C++": "X", "C": "Y"}, "X and Y, Y++x"),
        ("C++ C+", {"C++": "X"}, "X C+"),
        ("ASP.NET .NET", {".NET": "X"}, "ASP.NET X"),
        ("Sé, Sés", {"sé": "X"}, "X, Sés"),
        ("Sé", {"Se\u0301": "X"}, "X"),
        ("ẹ́ ẹ", {"ẹ": "X"}, "ẹ́ X"),
        ("ไปกรุงเทพฯกับแม่", {"กรุงเทพฯ": "X"}, "ไปXกับแม่"),
        ("กี่ ก", {"ก": "X"}, "กี่ X"),
        ("処理の東京", {"東京": "X"}, "処理のX"),
        ("a東京b", {"東京": "X"}, "aXb"),
        ("İstanbul IN İ", {"in": "X"}, "İstanbul X İ"),
        ("end of San", {"San Francisco": "X", "end": "Y"}, "Y of San"),
        ("at Sa", {"San": "X", "Sa": "Y", "S": "Z"}, "at Y"),
        ("S", {"San": "X", "Sa": "Y", "S": "Z"}, "Z"),
        ("S Sa", {"San": "X", "S": "Z"}, "Z Sa"),
        ("BTS bts Bts", {"bts": "bts", "BTS": "BTS"}, "BTS bts Bts"),
        ("so and so", {}, "so and so"),
        ("", {"a": "X"}, ""),
    ],
)
def test_whole_words_are_found_the_longest_first(text: str, lexicon: dict[str, str], said: str) -> None:
    assert WordFinder(lexicon).replace_words(text) == said


def test_a_word_that_stands_for_itself_keeps_its_capitals() -> None:
    (found,) = word_finder({"lagos": "lagos"}).find("In LAGOS.")
    assert found.spoken == "LAGOS"


def test_with_boundaries_a_word_is_what_lies_between_two_of_them() -> None:
    finder = WordFinder({"ตาก": "X", "ตา": "Y"})
    assert [tuple(found) for found in finder.find("ตากลม", {0, 2, 5})] == [(0, 2, "Y")]
    assert [tuple(found) for found in finder.find("ตากลม", {0, 3, 5})] == [(0, 3, "X")]
    assert list(finder.find("ตากลม", {1, 5})) == []


def test_no_repr_shows_a_word() -> None:
    assert repr(WordFinder({"canary": "x"})) == "<WordFinder 1>"


SIGNS = "aAb .ไก\u0301éİΣσς09,$"


def found_plainly(lexicon: dict[str, str], text: str, places: set[int] | None) -> list[FoundWord]:
    """What is to be found, by definition: at each place every length is tried, the longest first."""
    known = {cleaning.cleaned(word)[0]: spoken for word, spoken in lexicon.items()}
    lowered, found, at = words._lowered(text), [], 0
    starts = {match.start() for match in words._START.finditer(lowered)} if places is None else places
    for start in range(len(text)):
        for end in range(len(text), start, -1):
            word = next((each for each in (text[start:end], lowered[start:end]) if each in known), None)
            if word is None or start < at or start not in starts or not words._is_word_end(text, end, places):
                continue
            before = text[max(0, start - 2) : start]
            if text[start].isdigit() and words._MORE_DIGITS_BEFORE.search(before):
                continue
            if text[end - 1].isdigit() and words._MORE_DIGITS.match(text, end):
                continue
            found.append(FoundWord(start, end, text[start:end] if known[word] == word else known[word]))
            at = end
    return found


@given(
    st.text(SIGNS, max_size=16),
    st.dictionaries(st.text(SIGNS, min_size=1, max_size=4), st.sampled_from(("X", "a", "A", "ไ"))),
    st.none() | st.sets(st.integers(0, 16)),
)
@example("Σ\u0301Σ", {"Σ": "X"}, None)
def test_a_search_finds_what_trying_every_length_at_every_place_would(
    text: str, lexicon: dict[str, str], places: set[int] | None
) -> None:
    text, _ = cleaning.cleaned(text)
    assert list(WordFinder(lexicon).find(text, places)) == found_plainly(lexicon, text, places)


def test_many_words_that_begin_alike_are_no_more_work_than_one() -> None:
    text = "ก" * 20_000
    spent = []
    for lexicon in ({"กข": "x"}, {"ก" * length + "ข": "x" for length in range(1, 100)}):
        finder = WordFinder(lexicon)
        begun = time.thread_time()
        assert list(finder.find(text)) == []
        spent.append(time.thread_time() - begun)
    one, many = spent
    # Trying each length would take fifty times as long.
    assert many < 8 * one


ALPHABET = st.text(st.sampled_from("aAbB .ไท\u0301é"), max_size=12)


@given(ALPHABET, st.dictionaries(st.text(st.sampled_from("aAbBไé."), min_size=1, max_size=3), ALPHABET))
def test_words_that_are_found_are_in_order_apart_and_of_the_lexicon(
    text: str, lexicon: dict[str, str]
) -> None:
    found = list(WordFinder(lexicon).find(text))
    assert all(one.end <= other.start for one, other in pairwise(found))
    for each in found:
        word = text[each.start : each.end]
        assert word in lexicon or word.lower() in lexicon


@given(
    st.lists(st.sampled_from(("ana", "Ana", "rui", "x")), max_size=8),
    st.dictionaries(st.sampled_from(("ana", "Ana", "rui")), st.just("Y")),
)
def test_spaced_words_are_as_a_plain_look_in_the_lexicon_would_have_them(
    texts: list[str], lexicon: dict[str, str]
) -> None:
    text = " ".join(texts)
    plain = re.sub(r"\w+", lambda match: lexicon.get(match[0], lexicon.get(match[0].lower(), match[0])), text)
    assert WordFinder(lexicon).replace_words(text) == plain


def test_a_lexicon_that_never_changes_is_read_once_for_all_its_searches() -> None:
    class Counted(UnchangedWords):
        reads = 0

        def items(self) -> Any:
            self.reads += 1
            return super().items()

    lexicon = Counted({"Rio": "ree-oh"})
    assert [word_finder(lexicon).replace_words(text) for text in ("Rio", "No", "Rio!")] == [
        "ree-oh",
        "No",
        "ree-oh!",
    ]
    assert lexicon.reads == 1
