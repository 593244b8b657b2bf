"""Where a long sentence is cut, and what a text may not have that espeak-ng reads."""

import re

from hypothesis import given
from hypothesis import strategies as st

from speech_engine.text.sounds import EspeakReader, cut_place, cut_sounds, end_of_part, safe_text
from tests.tables import each_row


class Clauses:
    """A phonemizer that ends a sentence at each of these signs, as piper-tts does."""

    def phonemize(self, language: str, text: str, clusters: object) -> list[list[str]]:
        if language == "silent":
            return []
        return [list(each) for each in re.findall(r"[^?!.]+[?!.]", text.replace('"', "").replace("! ", "!"))]


LAKE = "ðə bˈəʊt ɪz ɔnðə lˈeɪk ˌɪn ðə pˈɑːk"


def cut(sounds: str, most: int) -> list[str]:
    return ["".join(part) for part in cut_sounds(list(sounds), most)]


@each_row(
    ("sounds", "most", "parts"),
    [
        ("aaa bbb", 10, ["aaa bbb"]),
        ("aaa bbb", 7, ["aaa bbb"]),
        # After a comma, though another word would fit.
        ("ˈaaa ˈbbb, ˈccc ˈddd ˈeee", 16, ["ˈaaa ˈbbb,", "ˈccc ˈddd ˈeee"]),
        # Not after a word that leans on the next one, and best before one.
        (LAKE, 30, ["ðə bˈəʊt ɪz ɔnðə lˈeɪk", "ˌɪn ðə pˈɑːk"]),
        # No rest of two sounds.
        ("aaaa bbbb cccc dddd e", 20, ["aaaa bbbb", "cccc dddd e"]),
        # A word that is too long alone.
        ("aaaaaaaaaa", 4, ["aaaa", "aaaa", "aa"]),
    ],
)
def test_a_sentence_is_cut_where_a_speaker_might_pause(sounds: str, most: int, parts: list[str]) -> None:
    assert cut(sounds, most) == parts


def test_a_word_is_not_cut_for_a_short_part() -> None:
    assert cut_place(list("aaaaaaaaaa bbb"), 4, 12) == 10
    assert cut_place(list("aaaaaaaaaabbbb"), 4, 12) == 12


@given(st.text("aˈ ,", max_size=200), st.integers(3, 50))
def test_nothing_is_lost_but_blanks_at_cuts(sounds: str, most: int) -> None:
    parts = cut(sounds, most)
    assert all(len(part) <= most for part in parts)
    assert "".join(parts).replace(" ", "") == sounds.replace(" ", "")


def test_what_could_harm_espeak_becomes_a_blank() -> None:
    assert safe_text("a\0b`[[c]]") == "a b   c  "
    assert max(map(len, safe_text("x" * 500).split())) <= 60


@each_row(
    ("text", "sounds"),
    [
        ('"Where?" she asked.', "Where?  she asked."),
        ('"Stop! Go!" he said.', "Stop! Go! he said."),
        # Without the comma, the words around it would be one.
        ("Wait… he said.", "Wait,  he said."),
        ('"Well..." he began.', "Well,  he began."),
    ],
)
def test_a_text_is_one_sentence_however_many_questions_are_in_it(text: str, sounds: str) -> None:
    (found,) = EspeakReader(Clauses).read(text, "en-us")
    assert "".join(found) == sounds


def test_a_text_without_sounds_has_no_sentence_and_an_ellipsis_at_the_end_stays() -> None:
    assert EspeakReader(Clauses).read("Hm.", "silent") == []
    (found,) = EspeakReader(Clauses).read("Yes. Wait...", "en-us")
    assert "," not in found


@each_row(("part", "ends"), [("a?", "clause"), ("a!", "clause"), ("a,", "clause"), ("a", "phrase")])
def test_a_question_inside_a_sentence_is_followed_by_the_pause_of_a_comma(part: str, ends: str) -> None:
    assert end_of_part(part) == ends
