"""Cutting to an engine's limit: every piece fits, nothing is lost, and the places still add up."""

import unicodedata
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from policies import segments
from speech_engine import Rewritten, Segment
from tests.tables import each_row


@st.composite
def sentences(draw: st.DrawFn) -> list[Segment]:
    """As a front-end gives them: ranges that tile the text, spoken texts of any other length."""
    made, start = [], 0
    for _ in range(draw(st.integers(0, 4))):
        spoken = draw(st.text(st.sampled_from("ab กé   "), min_size=1, max_size=40))
        width = draw(st.integers(0, 60))
        made.append(Segment(spoken, start, start + width))
        start += width
    return made


@given(sentences(), st.integers(1, 50))
def test_pieces_fit_tile_and_keep_every_letter(given_: list[Segment], limit: int) -> None:
    for whole in given_:
        pieces = segments.fit_segments([whole], limit)
        assert all(len(piece.spoken) <= limit for piece in pieces)
        assert "".join(piece.spoken for piece in pieces).replace(" ", "") == whole.spoken.replace(" ", "")
        if not whole.spoken.strip():
            continue
        assert pieces[0].source_start == whole.source_start
        assert pieces[-1].source_end == whole.source_end
        for before, after in pairwise(pieces):
            assert before.source_start <= before.source_end == after.source_start


@given(sentences(), st.integers(1, 50))
def test_sentences_are_never_joined_or_moved(given_: list[Segment], limit: int) -> None:
    one_by_one = [piece for whole in given_ for piece in segments.fit_segments([whole], limit)]
    assert list(segments.fit_segments(given_, limit)) == one_by_one


# Of at most four characters each, so that every limit from there on has a place for a cut.
SYLLABLES = ("กา", "เก", "น้ำ", "ที่", "โต๊ะ", "เก้า", "ก็", "e\u0323\u0301", "คน", "a")


@given(st.lists(st.sampled_from(SYLLABLES), min_size=1), st.integers(4, 30))
def test_no_letter_loses_a_mark_or_a_vowel(syllables: list[str], limit: int) -> None:
    spoken = "".join(syllables)
    pieces = [piece.spoken for piece in segments.fit_segments([Segment(spoken, 0, len(spoken))], limit)]
    assert "".join(pieces) == spoken
    for piece in pieces:
        assert piece[-1] not in "เโ"
        assert piece[0] not in "ะาำ"
        assert not unicodedata.combining(piece[0])


@given(sentences())
def test_a_segment_that_fits_is_left_alone(given_: list[Segment]) -> None:
    assert segments.fit_segments(given_, 40) == tuple(given_)


@each_row(
    ("spoken", "limit", "pieces"),
    [
        ("one two three", 7, ["one two", "three"]),
        ("one two three", 8, ["one two", "three"]),
        ("one two three", 6, ["one", "two", "three"]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("ab cdefgh", 3, ["ab", "cde", "fgh"]),
        ("สามสิบนาที", 4, ["สาม", "สิบ", "นาที"]),
        ("ไปเที่ยวเกาะ", 6, ["ไปเที่", "ยวเกาะ"]),
        ("ทำน้ำชา", 3, ["ทำ", "น้ำ", "ชา"]),
        ("ໄປເຮືອນ", 3, ["ໄປ", "ເຮື", "ອນ"]),
        ("किताबें", 4, ["किता", "बें"]),
        ("ab\u0323\u0301c", 2, ["a", "b\u0323", "\u0301c"]),
        ("one \u0301two", 5, ["one \u0301", "two"]),
        ("abc👩\u200d🚀d", 4, ["abc", "👩\u200d🚀d"]),
    ],
)
def test_cuts_are_at_blanks_or_between_letters(spoken: str, limit: int, pieces: list[str]) -> None:
    fitted = segments.fit_segments([Segment(spoken, 0, len(spoken))], limit)
    assert [piece.spoken for piece in fitted] == pieces


def test_a_piece_points_at_its_own_part_of_the_text() -> None:
    text = "one two three"
    fitted = segments.fit_segments([Segment(text, 10, 10 + len(text))], 7)
    assert [(piece.source_start, piece.source_end) for piece in fitted] == [(10, 18), (18, 23)]


def test_a_cut_knows_what_was_rewritten() -> None:
    """`12 cats` → `twelve cats`, `7 dogs` → `seven dogs`."""
    whole = Segment("twelve cats seven dogs", 0, 14, (Rewritten(0, 6, 0, 2), Rewritten(12, 17, 8, 9)))
    first, second = segments.fit_segments([whole], 12)
    assert (first, second) == (
        Segment("twelve cats", 0, 8, (Rewritten(0, 6, 0, 2),)),
        Segment("seven dogs", 8, 14, (Rewritten(0, 5, 8, 9),)),
    )


def test_both_pieces_of_a_cut_expansion_stand_for_all_of_it() -> None:
    whole = Segment("a one hundred b", 0, 7, (Rewritten(2, 13, 2, 5),))
    first, second = segments.fit_segments([whole], 9)
    assert (first.spoken, first.rewritten) == ("a one", (Rewritten(2, 5, 2, 5),))
    assert (second.spoken, second.rewritten) == ("hundred b", (Rewritten(0, 7, 2, 5),))
