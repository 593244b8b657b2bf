"""Where segments are cut, so that each piece fits behind the recording of a voice."""

import unicodedata
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from plugins.f5tts.cutting import pieces
from plugins.f5tts.durations import usual_s
from tests.tables import each_row

THAI = "การประชุมถูกเลื่อนไปเป็นวันพฤหัสบดีเวลาเก้าโมงเช้าและเธออาศัยอยู่ใกล้ทะเลกับลูกสองคน"
LEADING = "เแโใไ"


@given(st.text(alphabet="abc ,.;!?ãéกาิเ้。、", max_size=120), st.floats(1.0, 6.0), st.floats(0.0, 3.0))
def test_pieces_are_short_enough_and_lose_nothing_but_spaces(
    text: str, most_s: float, first_s: float
) -> None:
    found = pieces(text, most_s, usual_s, first_s)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(piece and usual_s(piece) <= most_s for piece in found[1:])
    assert all(usual_s(piece) <= max(most_s, first_s) for piece in found[:1])


def test_a_text_that_fits_is_not_cut() -> None:
    assert pieces("Bom dia, tudo bem?", 10.0, usual_s) == ["Bom dia, tudo bem?"]
    assert pieces("  ", 10.0, usual_s) == []


@each_row(
    ("text", "wanted"),
    [
        ("One two three. Four five, six seven eight.", ["One two three.", "Four five,", "six seven eight."]),
        ("one two three four five six seven", ["one two three four", "five six seven"]),
        ("一二三。四五六、七八九十一", ["一二三。", "四五六、", "七八九十一"]),
    ],
)
def test_it_is_cut_at_the_best_place_that_is_far_enough(text: str, wanted: list[str]) -> None:
    assert pieces(text, 1.6, usual_s) == wanted


def test_the_first_piece_ends_with_a_clause_that_is_soon_spoken() -> None:
    text = "Good morning to all of you, today we speak about the weather of this week and the next one."
    assert pieces(text, 20.0, usual_s, 2.5) == ["Good morning to all of you,", text[28:]]
    # Without a clause, a short piece would be cut in the middle of what belongs together.
    assert pieces(text[28:], 20.0, usual_s, 2.5) == [text[28:]]


def test_a_first_piece_is_no_single_short_word() -> None:
    text = "No, this is a sentence of some length that goes on and on"
    assert usual_s("No,") < 0.8 < usual_s(text)
    assert pieces(text, 20.0, usual_s, 2.0) == [text]


def test_a_better_place_just_beyond_the_longest_piece_is_none() -> None:
    assert pieces("一二三四。五六", 1.0, usual_s) == ["一二三四", "。五六"]


def test_a_better_place_that_makes_a_piece_too_short_is_none() -> None:
    assert pieces("A. One two three four five", 1.6, usual_s) == ["A. One two three", "four five"]


def test_a_thai_vowel_stays_with_the_consonant_that_it_is_written_before() -> None:
    assert pieces("กกกกกเกกก", 6.5 / 8.5, usual_s) == ["กกกกก", "เกกก"]


def test_thai_is_never_cut_inside_a_syllables_letters() -> None:
    found = pieces(THAI, 1.5, usual_s)
    assert len(found) > 3
    for before, after in pairwise(found):
        assert before[-1] not in LEADING
        assert unicodedata.category(after[0]) != "Mn"
