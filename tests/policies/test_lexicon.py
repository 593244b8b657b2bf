"""Which lexicons count for a text, whose word is the last, and what an entry may be."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import lexicon
from policies.lexicon import EMPTY_LEXICON, Lexicons, find_pronunciations, merge_lexicons
from speech_engine import Pronunciation, Segment
from tests.tables import each_row

OWN = {
    "pt": {"Ana": "own pt", "Rui": "own pt"},
    "brands": {"Ana": "own brands", "nginx": "engine x"},
}
SHARED = {
    "pt": {"Ana": "pt", "Rui": "pt", "Sé": "pt"},
    "pt-BR": {"Sé": "pt-BR", "Ana": "pt-BR"},
    "brands": {"Ana": "brands", "SQL": "sequel"},
    "en": {"Ana": "en"},
}


def _words(lexicons: Lexicons, requested: str | Mapping[str, str] | None, tag: str) -> Mapping[str, str]:
    found = lexicons.for_text(requested, tag)
    assert found is not None
    return found.words


@each_row(
    ("requested", "tag", "words"),
    [
        (None, "pt", {"Ana": "own pt", "Rui": "own pt", "Sé": "pt"}),
        (None, "PT", {"Ana": "own pt", "Rui": "own pt", "Sé": "pt"}),
        (None, "pt-br", {"Ana": "own pt", "Rui": "own pt", "Sé": "pt-BR"}),
        (None, "pt-PT", {"Ana": "own pt", "Rui": "own pt", "Sé": "pt"}),
        (None, "en-NG", {"Ana": "en"}),
        (None, "th", {}),
        ("brands", "th", {"Ana": "own brands", "nginx": "engine x", "SQL": "sequel"}),
        ("brands", "en", {"Ana": "own brands", "nginx": "engine x", "SQL": "sequel"}),
        ("PT-br", "en", {"Ana": "pt-BR", "Sé": "pt-BR"}),
        ("none", "pt", {}),
        ({"Ana": "inline"}, "pt", {"Ana": "inline", "Rui": "own pt", "Sé": "pt"}),
        ({"ana": "any"}, "pt", {"ana": "any", "Rui": "own pt", "Sé": "pt"}),
    ],
)
def test_the_words_of_all_lexicons_that_count_are_taken(
    requested: str | Mapping[str, str] | None, tag: str, words: dict[str, str]
) -> None:
    assert _words(Lexicons(SHARED, OWN), requested, tag) == words


def test_a_name_that_nobody_has_is_not_there() -> None:
    for requested in ("nobody", "", "brand", "Brands"):
        assert Lexicons(SHARED, OWN).for_text(requested, "pt") is None
    assert Lexicons(SHARED).for_text("own", "pt") is None


def test_without_lexicons_nothing_is_put_together_and_with_them_it_is_once() -> None:
    assert Lexicons({}).for_text(None, "en") is EMPTY_LEXICON
    assert _words(Lexicons({}), {"a": "b"}, "en") == {"a": "b"}
    lexicons = Lexicons(SHARED)
    assert _words(lexicons, None, "pt") == SHARED["pt"]
    assert lexicons.for_text(None, "yo") is EMPTY_LEXICON
    assert lexicons.for_text(None, "pt-AO") is lexicons.for_text(None, "pt")
    assert lexicons.for_text("brands", "pt") is not lexicons.for_text(None, "pt")


def test_the_digest_tells_lexicons_apart_and_only_those() -> None:
    first = merge_lexicons([{"a": "b", "c": "d"}])
    assert (
        first.digest
        == merge_lexicons([{"c": "d", "a": "b"}]).digest
        == merge_lexicons([{"a": "b"}, {"c": "d"}]).digest
    )
    others = [{"a": "b"}, {"a": "b", "c": "e"}, {"a": "bc", "d": ""}, {"a": "/b/", "c": "d"}]
    assert len({first.digest, "", *(merge_lexicons([each]).digest for each in others)}) == 6


@given(
    st.lists(
        st.dictionaries(st.sampled_from(("Ana", "ana", "ANA", "Rui", "rui")), st.sampled_from("xyz")),
        max_size=4,
    )
)
def test_an_earlier_layer_always_has_the_last_word(layers: list[dict[str, str]]) -> None:
    words = merge_lexicons(layers).words
    for written in ("Ana", "ana", "ANA", "Rui"):
        says = [layer.get(written, layer.get(written.lower())) for layer in layers]
        first = next((said for said in says if said is not None), None)
        assert words.get(written, words.get(written.lower())) == first


@each_row(
    ("spoken", "sound"),
    [
        ("/ˈleɪɡɒs/", Pronunciation("w", "ipa", "ˈleɪɡɒs")),
        ("/nuː jɔːk/", Pronunciation("w", "ipa", "nuː jɔːk")),
        ("(chu3)(li3)", Pronunciation("w", "pinyin", "(chu3)(li3)")),
        ("(lü4)", Pronunciation("w", "pinyin", "(lü4)")),
        ("lah-goss", None),
        ("(chu3) (li3)", None),
        ("(chu6)", None),
        ("(maybe)", None),
        ("and/or", None),
    ],
)
def test_a_form_in_slashes_is_ipa_and_one_in_numbered_brackets_pinyin(
    spoken: str, sound: Pronunciation | None
) -> None:
    assert lexicon.sound_of("w", spoken) == sound


def test_a_word_with_a_sound_is_kept_as_it_is_written() -> None:
    found = merge_lexicons([{"5G": "/faɪv dʒiː/", "SQL": "sequel"}])
    assert found.words == {"5G": "5G", "SQL": "sequel"}
    assert found.sounds == (Pronunciation("5G", "ipa", "faɪv dʒiː"),)


def test_an_engine_is_told_of_the_words_that_occur_as_they_stand_in_alphabets_it_takes() -> None:
    words = merge_lexicons(
        [{"lagos": "/ˈleɪɡɒs/", "处理": "(chu3)(li3)", "Kano": "/ˈkɑːnoʊ/", "Rio": "hee-oh"}]
    )
    segments = (Segment("Lagos, LAGOS and Lagosians.", 0, 9), Segment("他处理了 Lagos kano.", 9, 20))
    assert find_pronunciations(words, ("ipa",), segments) == (
        Pronunciation("Lagos", "ipa", "ˈleɪɡɒs"),
        Pronunciation("LAGOS", "ipa", "ˈleɪɡɒs"),
    )
    assert find_pronunciations(words, ("pinyin",), segments) == (
        Pronunciation("处理", "pinyin", "(chu3)(li3)"),
    )
    assert len(find_pronunciations(words, ("pinyin", "ipa"), segments)) == 3
    assert find_pronunciations(words, (), segments) == ()
    assert find_pronunciations(EMPTY_LEXICON, ("ipa",), segments) == ()


@each_row("name", ["pt-BR", "th", "brands", "My.Names-2", "a", "x" * 64])
def test_a_good_name(name: str) -> None:
    assert lexicon.name_fault(name) is None


@each_row("name", ["", "none", "None", "a b", "ação", "-a", "a/b", "x" * 65, "a\n", "."])
def test_a_name_that_is_none(name: str) -> None:
    assert lexicon.name_fault(name)


def test_a_language_has_one_name_however_it_is_written() -> None:
    assert lexicon.usual_name("PT-br") == lexicon.usual_name("pt-BR") == "pt-BR"
    assert lexicon.usual_name("MyBrands") == "MyBrands"


@each_row(
    ("words", "fault"),
    [
        ({}, None),
        ({"w" * 100: "s" * 200}, None),
        ({"a": "b", "w" * 101: "s"}, "entry 2 has a word"),
        ({"w": "s" * 201}, "'w' has a spoken form"),
        ({"": "s"}, "entry 1 has a word"),
        ({"w": ""}, "'w' has a spoken form"),
        ({"w": " "}, "'w' has a spoken form"),
        ({"w": "\u200b"}, "'w' has a spoken form"),
        ({"w\x00": "s"}, "entry 1 has a word"),
        ({"w": "s\ns"}, "'w' has a spoken form"),
        ({"w": "\ud800"}, "'w' has a spoken form"),
        ({"w": "/<b>/"}, "no IPA"),
        ({"w": "//"}, "no IPA"),
        ({"w": "/"}, "no IPA"),
        ({"w": "a/"}, None),
        ({"w": "/a"}, None),
        ({str(number): "s" for number in range(1000)}, None),
        ({str(number): "s" for number in range(1001)}, "at most 1000 words; got 1001"),
    ],
)
def test_an_entry_is_taken_or_refused_with_its_fault(words: dict[str, str], fault: str | None) -> None:
    message = lexicon.words_fault(words, is_named=True)
    assert (message is None) is (fault is None)
    assert fault is None or fault in (message or "")


def test_words_are_kept_composed_and_without_blanks_around_them() -> None:
    assert lexicon.usual_words({" Sa\u0303o  Paulo ": " sa\u0303o "}) == {"São Paulo": "são"}


def test_nothing_shows_what_is_in_a_lexicon() -> None:
    found = merge_lexicons([{"canary": "/kəˈnɛəri/"}])
    assert "canary" not in repr((found, found.sounds, Lexicons({"en": {"canary": "x"}})))


@pytest.mark.parametrize("spoken", ["canary" * 40, "/<canary>/"])
def test_a_fault_names_the_word_only_where_it_may_and_never_what_is_said_for_it(spoken: str) -> None:
    words = {"good": "well", "bad": spoken}
    counted = lexicon.words_fault(words) or ""
    named = lexicon.words_fault(words, is_named=True) or ""
    assert named == counted.replace("entry 2", "'bad'") != counted
    assert not any(other in named for other in ("good", "well", "canary"))
    assert "entry 1 has a word" in (lexicon.words_fault({"": "x"}, is_named=True) or "")


@each_row("spoken", ["\U0001f600", "...", "/\u02c8\u02c8/", "\u02c8", "+"])
def test_a_spoken_form_that_nobody_can_hear_is_no_entry(spoken: str) -> None:
    assert "no letter or digit" in (lexicon.words_fault({"zz": spoken}) or "")


@each_row("spoken", ["2", "\u00bd", "\u2167", "a+", "/\u02c8\u0259/", "\u0e2b"])
def test_a_letter_a_digit_or_a_sound_is_enough(spoken: str) -> None:
    assert lexicon.words_fault({"zz": spoken}) is None
