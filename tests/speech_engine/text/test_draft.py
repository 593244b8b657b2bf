"""A draft: cleaned, decided bit by bit, cut; whatever the text is, each part knows where it came from."""

import re
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from speech_engine import Rewritten, Segment
from speech_engine.text import cleaning
from speech_engine.text.draft import MASK, Draft
from tests.tables import each_row

NUMBER = re.compile(r"\d+")
SURROGATES = st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF)
# Whatever unicode has, and much more of what is hard than chance would give.
TEXTS = st.lists(
    st.one_of(
        st.sampled_from(
            (" ", "\n", "12", "3", "ana", "Ana ", "e\u0301", "\u0301", "\u200b", "\u200d", "\x00", "。", "ก่")
        ),
        st.sampled_from(
            ("ệ", "e\u0302\u0323", "\u1112\u1161\u11ab", "각", "👩\u200d👧", "—", "\u2028", "\ufeff")
        ),
        st.text(max_size=4),
        SURROGATES,
    ),
    max_size=24,
).map("".join)
SAID = st.one_of(
    st.sampled_from(("doze", " ", "", "\u0301x", "a\u200b", "x\x00y", "-", " two  words ")), TEXTS
)

KEYS = ("ana", "Ana", "12", "e\u0301", "ก่", "각", " ", "")


def spoken(draft: Draft, *ends: int) -> list[str]:
    return [segment.spoken for segment in draft.segments(ends)]


def rewritten(draft: Draft, text: str, *ends: int) -> list[tuple[str, str]]:
    """What stands for what, in words."""
    return [
        (segment.spoken[each.spoken_start : each.spoken_end], text[each.source_start : each.source_end])
        for segment in draft.segments(ends)
        for each in segment.rewritten
    ]


@each_row(
    ("text", "cleaned"),
    [
        ("plain", "plain"),
        ("a\x00b\x07c", "abc"),
        ("a\u200bb\u00adc\ufeff", "abc"),
        ("e\u0301", "é"),
        ("e\u200b\u0301", "é"),
        ("tab\tnew\r\nline\u2028", "tab\tnew\r\nline\u2028"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\ud83d x", " x"),
        ("\u1112\u1161\u11ab", "한"),
    ],
)
def test_a_text_is_composed_and_without_what_nobody_hears(text: str, cleaned: str) -> None:
    draft = Draft(text)
    assert draft.text == draft.open == cleaned


@each_row(
    ("text", "places"),
    [
        ("xe\u0301y", [0, 1, 3]),
        ("e\u200b\u0301y", [0, 3]),
        ("\u1112\u1161\u11abx", [0, 3]),
        ("e\u0301\u0327\u0316z", [0, 1, 2, 4]),
        ("a\x00b", [0, 2]),
        ("e\u0301\x00", [0]),
    ],
)
def test_a_composed_character_comes_from_where_it_began(text: str, places: list[int]) -> None:
    assert cleaning.cleaned(text)[1] == places


@given(TEXTS)
@example("e\u0301" * 3)
@example("\u0301")
@example("a\u0327\u0301\u0323b")
def test_each_cleaned_character_has_a_place_that_never_falls(text: str) -> None:
    kept, places = cleaning.cleaned(text)
    assert unicodedata.is_normalized("NFC", kept)
    assert cleaning.cleaned(kept) == (kept, None)
    if places is None:
        assert len(kept) == len(text)
    else:
        assert len(places) == len(kept)
        assert places == sorted(places)
        assert all(0 <= place < len(text) for place in places)


def test_the_first_decision_stays() -> None:
    draft = Draft("In 2026, 12 cats: www.12.org")
    draft.keep(re.compile(r"www\.\S+"))
    draft.rewrite(NUMBER, lambda match: "twelve" if match.group() == "12" else None)
    assert draft.open == f"In 2026, {MASK * 2} cats: {MASK * 10}"
    draft.rewrite(re.compile(r"\w+"), lambda match: match.group().upper())
    assert spoken(draft) == ["IN 2026, twelve CATS: www.12.org"]


def test_no_rule_reaches_across_what_is_decided() -> None:
    draft = Draft("a 1 b")
    draft.decide(2, 3, "one")
    draft.rewrite(re.compile("a.*b"), lambda _: "all")
    assert spoken(draft) == ["a one b"]


def test_a_match_that_touches_what_is_decided_keeps_no_other_from_its_rule() -> None:
    draft = Draft("a1 b2")
    draft.decide(1, 2, "one")
    draft.rewrite(re.compile(r"\S+"), lambda match: match.group().upper())
    assert spoken(draft) == ["aone B2"]


def test_an_accent_that_a_rule_adds_belongs_to_it() -> None:
    draft = Draft("ae1 x")
    draft.decide(2, 3, "\u0301")
    (segment,) = draft.segments(())
    assert segment.spoken == "aé x"
    assert segment.rewritten == (Rewritten(1, 2, 2, 3),)


@each_row(("start", "end"), [(0, 0), (-1, 2), (3, 2), (0, 9), (4, 6), (5, 8)])
def test_a_range_that_cannot_be_decided_is_refused(start: int, end: int) -> None:
    draft = Draft("one two ")
    draft.decide(4, 7, "2")
    with pytest.raises(ValueError, match="cannot be decided"):
        draft.decide(start, end, "x")
    assert spoken(draft) == ["one 2"]


def test_a_lexicon_says_its_words_and_keeps_them_from_later_rules() -> None:
    draft = Draft("5G at ana's, ANA: 5")
    draft.apply({"5G": "5G", "ana": "Âna"})
    draft.rewrite(re.compile(r"\d"), lambda _: "five")
    assert spoken(draft) == ["5G at Âna's, Âna: five"]
    assert rewritten(draft, "5G at ana's, ANA: 5") == [("Âna", "ana"), ("Âna", "ANA"), ("five", "5")]


def test_a_lexicon_with_boundaries_finds_what_lies_between_two_of_them() -> None:
    for boundaries, said in (({0, 2, 5}, "ตากลม"), ({0, 3, 5}, "Xลม"), (None, "Xลม")):
        draft = Draft("ตากลม")
        draft.apply({"ตาก": "X"}, boundaries)
        assert spoken(draft) == [said]


def test_an_empty_lexicon_changes_nothing() -> None:
    draft = Draft("as it is")
    draft.apply({})
    draft.apply({"": "x", "\u200b": "y"})
    assert draft.segments(()) == (Segment("as it is", 0, 8),)


def test_a_cut_inside_of_what_is_decided_moves_behind_it() -> None:
    text = "See v. 2 now. Then go."
    draft = Draft(text)
    draft.decide(4, 8, "verse two")
    assert spoken(draft, 7, 14) == ["See verse two", "now.", "Then go."]


def test_a_cut_at_an_edge_of_what_is_decided_stays() -> None:
    draft = Draft("ab12cd")
    draft.decide(2, 4, "x")
    assert spoken(draft, 2, 4) == ["ab", "x", "cd"]


def test_a_piece_that_says_nothing_joins_its_neighbour() -> None:
    draft = Draft("— Hi. … 7 ! \n\n Ho.)")
    draft.rewrite(re.compile("7"), lambda _: "!")
    assert [(each.spoken, each.source_start, each.source_end) for each in draft.segments((2, 6, 12, 15))] == [
        ("— Hi. … ! !", 0, 15),
        ("Ho.)", 15, 19),
    ]


def test_a_segments_source_is_told_by_the_users_places() -> None:
    text = "A\u200b e\u0301 12 \x00kg."
    draft = Draft(text)
    draft.rewrite(re.compile(r"12 +kg"), lambda _: "doze quilos")
    (segment,) = draft.segments(())
    assert segment.spoken == "A é doze quilos."
    assert rewritten(draft, text) == [("doze quilos", "12 \x00kg")]
    assert (segment.source_start, segment.source_end) == (0, len(text))


def test_white_space_is_collapsed_also_where_pieces_meet() -> None:
    draft = Draft("a \n 1  b 2")
    draft.rewrite(NUMBER, lambda match: {"1": "  one\t", "2": ""}[match.group()])
    assert spoken(draft) == ["a one b"]
    assert rewritten(draft, "a \n 1  b 2") == [("one", "1")]


def test_a_rule_cannot_say_what_a_text_could_not() -> None:
    draft = Draft("1 x")
    draft.decide(0, 1, "o\x00n\u200be\ud800e\u0301")
    assert spoken(draft) == ["oneé x"]


@each_row("text", ["", " ", "\x00\u200b", "\ud800", "\u200d", " \n"])
def test_nothing_to_say_gives_no_segment(text: str) -> None:
    assert Draft(text).segments((1, 2)) == ()


def test_a_text_of_signs_alone_is_one_segment() -> None:
    assert Draft("… !").segments((1,)) == (Segment("… !", 0, 3),)


def test_no_repr_shows_the_text() -> None:
    draft = Draft("canary 12")
    draft.decide(0, 6, "canary")
    assert "canary" not in repr((draft, draft.segments(())))


@given(
    text=TEXTS,
    ends=st.lists(st.integers(-2, 60), max_size=8),
    lexicon=st.dictionaries(st.sampled_from(KEYS), SAID, max_size=4),
    said=SAID,
    decided=st.tuples(st.integers(0, 30), st.integers(1, 6)),
)
@example(text="e\u0301 12\u0301", ends=[2, 3], lexicon={}, said="e", decided=(0, 1))
@example(text="12", ends=[1], lexicon={}, said="", decided=(9, 1))
def test_segments_tile_the_text_whatever_is_decided(
    text: str, ends: list[int], lexicon: dict[str, str], said: str, decided: tuple[int, int]
) -> None:
    draft = Draft(text)
    draft.keep(re.compile("—"))
    start, length = decided
    if start + length <= len(draft.text) and MASK not in draft.open[start : start + length]:
        draft.decide(start, start + length, said)
    draft.apply(lexicon)
    draft.rewrite(NUMBER, lambda match: said if len(match.group()) % 2 else None)
    segments = draft.segments(ends)
    if segments:
        assert segments[0].source_start == 0
        assert segments[-1].source_end == len(text)
    assert all(one.source_end == other.source_start for one, other in pairwise(segments))
    for segment in segments:
        _check(segment)


def _check(segment: Segment) -> None:
    assert segment.source_start < segment.source_end
    assert segment.spoken == " ".join(segment.spoken.split()) != ""
    assert unicodedata.is_normalized("NFC", segment.spoken)
    assert not {"Cc", "Cs"} & {unicodedata.category(character) for character in segment.spoken}
    before = Rewritten(0, 0, segment.source_start, segment.source_start)
    for each in segment.rewritten:
        assert before.spoken_end <= each.spoken_start < each.spoken_end <= len(segment.spoken)
        assert before.source_end <= each.source_start < each.source_end <= segment.source_end
        before = each


@given(TEXTS, st.lists(st.integers(0, 60), max_size=6))
def test_a_draft_of_which_nothing_is_decided_says_the_text(text: str, ends: list[int]) -> None:
    said = "".join(segment.spoken for segment in Draft(text).segments(ends))
    letters = [character for character in cleaning.cleaned(text)[0] if character.isalnum()]
    assert [character for character in said if character.isalnum()] == letters


def test_a_draft_tells_its_decisions_in_the_order_of_the_text() -> None:
    draft = Draft("a 12 b 3")
    draft.decide(7, 8, "three")
    draft.decide(2, 4, "twelve")
    assert draft.decided == ((2, 4, "twelve"), (7, 8, "three"))
