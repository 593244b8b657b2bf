"""espeak-ng's sounds in the model's own alphabet, in pieces that it can take."""

import re

import pytest

from plugins.kokoro.model_format import READINGS
from plugins.kokoro.reading import (
    AHEAD_SOUNDS,
    FIRST_SOUNDS,
    LEAST_SOUNDS,
    MOST_SOUNDS,
    NEAR_SOUNDS,
    SHARED_OFFSET,
    WHOLE_SOUNDS,
    cut_piece,
    own_alphabet,
    read_text,
    without_first,
)
from speech_engine import UnsupportedText
from speech_engine.text.sounds import Piece
from tests.tables import each_row

SYMBOLS = {" ": 1, ",": 2, ".": 3, "a": 4, "\u02c8": 5, "?": 6}


def letters(text: str, _language: str, _clusters: object) -> list[list[str]]:
    """A reader to whom each letter is a sound, and each full stop the end of a sentence."""
    return [list(f"{part}.") for part in text.split(".") if part.strip()]


def pieces(text: str, said: int = 0, *, looks_ahead: bool = False) -> list[Piece]:
    return read_text(text, READINGS["a"], SYMBOLS, letters, said, looks_ahead=looks_ahead)


def numbers(text: str) -> list[tuple[int, ...]]:
    return [piece.numbers for piece in pieces(text)]


@each_row(
    ("letter", "sounds", "written"),
    [
        ("a", "dʒˈʌdʒ tʃˈɛk", "ʤˈʌʤ ʧˈɛk"),
        ("a", "ɡˈoʊ bˈɜːd wˈɔːɾɚ", "ɡˈO bˈɜɹd wˈɔTəɹ"),
        ("b", "ɡˈəʊ bˈɜːd", "ɡˈQ bˈɜːd"),
        ("a", "lˈɑːx", "lˈɑk"),
        ("e", "xˈentɾe", "xˈentɾe"),
        ("i", "ɡrˈatsje", "ɡrˈaʦje"),
        ("p", "mɐ̃ɲˈɐ̃", "mɐ̃ɲˈɐ̃"),
    ],
)
def test_sounds_are_written_as_the_model_learned_them(letter: str, sounds: str, written: str) -> None:
    assert own_alphabet(sounds, READINGS[letter]) == written


def test_each_sentence_is_a_piece_between_pads_without_unknown_sounds() -> None:
    assert numbers("aXa.a,") == [(0, 4, 4, 3, 0), (0, 4, 2, 3, 0)]


def test_a_long_sentence_is_cut_between_words() -> None:
    pieces = numbers(" ".join(["aaaa"] * 200))
    assert len(pieces) > 1
    assert all(len(piece) <= MOST_SOUNDS + 2 for piece in pieces)
    assert sum(piece.count(4) for piece in pieces) == 800


def words(count: int) -> str:
    return " ".join(["\u02c8aaa"] * count)


def test_a_piece_is_cut_again_for_a_listener_who_waits_and_nothing_is_lost() -> None:
    *_, first, long, _ = pieces(words(200))
    for piece in (first, long):
        parts = cut_piece(piece, SYMBOLS, 40)
        assert len(parts) > 1
        assert max(part.sounds for part in parts) <= 40
        assert sum(part.numbers.count(4) for part in parts) == piece.numbers.count(4)
        assert parts[-1].ends == piece.ends
        assert all(part.ends == "phrase" for part in parts[:-1])
    assert cut_piece(long, SYMBOLS, long.sounds) == [long]


@each_row("looks_ahead", [False, True])
def test_a_sentence_of_three_seconds_is_whole(looks_ahead: bool) -> None:
    (piece,) = pieces(words(12), looks_ahead=looks_ahead)
    assert (piece.sounds, piece.ends, piece.cuts) == (WHOLE_SOUNDS, "sentence", ())
    assert len(pieces(f"{words(12)} a", looks_ahead=looks_ahead)) == 2


def test_the_first_piece_is_shorter_and_later_ones_are_longer() -> None:
    found = pieces(words(200))
    sizes = [piece.sounds for piece in found]
    assert WHOLE_SOUNDS > FIRST_SOUNDS >= sizes[0] > LEAST_SOUNDS
    assert sizes[0] < sizes[1] < sizes[2]
    assert max(sizes) > MOST_SOUNDS - 5
    for number, size in enumerate(sizes):
        assert LEAST_SOUNDS <= size <= max(WHOLE_SOUNDS, FIRST_SOUNDS + sum(sizes[:number]) // 4)
    assert [piece.ends for piece in found] == [*["phrase"] * (len(found) - 1), "sentence"]


@each_row(("said", "count"), [(0, 3), (SHARED_OFFSET, 2), (300, 1)])
def test_what_was_said_before_lets_a_piece_be_longer(said: int, count: int) -> None:
    assert len(pieces(words(22), said)) == count


def test_of_what_nobody_waits_for_only_what_is_too_long_is_cut() -> None:
    assert len(pieces(words(23), 1_000)) == 1
    assert len(pieces(words(25), 1_000)) == 2


@each_row(
    ("text", "first", "ends"),
    [
        # After the comma, though more would fit.
        (f"{words(6)}, {words(10)}", f"{words(6)},", "clause"),
        # Never a short clause: a rest of a sentence is not short, either.
        # "Where?" she asked: a question is no sentence of its own.
        (f"{words(6)}? {words(10)}", f"{words(6)}?", "clause"),
        (f"{words(2)}, {words(12)}", f"{words(2)}, {words(5)}", "phrase"),
        (f"{words(11)}, {words(3)}", words(7), "phrase"),
        # A long word ends the piece, however long it is.
        (f"{'a' * 55} {words(6)}", "a" * 55, "phrase"),
    ],
)
def test_the_first_piece_ends_with_a_clause_or_a_phrase(text: str, first: str, ends: str) -> None:
    piece, *rest = pieces(text)
    assert (piece.sounds, piece.ends) == (len(first), ends)
    assert all(each.sounds >= LEAST_SOUNDS for each in rest)


@each_row("said", [0, 100, 1_000])
def test_a_piece_that_ends_inside_a_sentence_has_more_sounds_than_are_kept(said: int) -> None:
    *cut, last = pieces(" ".join(["\u02c8aa"] * 250), said, looks_ahead=True)
    assert (last.ends, last.cuts) == ("sentence", ())
    before = said
    for piece in cut:
        given = len(piece.numbers) - 2
        assert piece.ends == "word"
        assert piece.sounds == piece.cuts[0] >= piece.cuts[-1] - NEAR_SOUNDS
        assert given == piece.cuts[-1] + AHEAD_SOUNDS <= min(FIRST_SOUNDS + before // 4, MOST_SOUNDS)
        assert all(piece.numbers[1 + cut] == SYMBOLS[" "] for cut in piece.cuts)
        before += piece.sounds
        assert len(piece.cuts) > 1


@each_row("text", [words(60), f"{'a' * 29} {words(20)}", f"{words(6)}, {words(30)}"])
def test_the_next_piece_begins_where_any_cut_is(text: str) -> None:
    (first, second, *_) = pieces(text, looks_ahead=True)
    said = [each for sentence in letters(text, "", ()) for each in sentence]
    for cut in first.cuts:
        rest = without_first(second, cut - first.cuts[0])
        kept = [SYMBOLS[each] for each in said[:cut]]
        begins = [SYMBOLS[each] for each in said[cut + 1 : cut + 1 + rest.sounds]]
        assert list(first.numbers[1 : 1 + cut]) == kept
        assert list(rest.numbers[1 : 1 + rest.sounds]) == begins
        assert all(rest.numbers[1 + each] == SYMBOLS[" "] for each in rest.cuts)
        starts = [
            word.start
            for piece, until in ((first, cut), (rest, rest.sounds))
            for word in piece.words
            if word.sound < until
        ]
        assert starts == [word.start() for word in re.finditer(r"[^\s,]+", text)][: len(starts)]
        assert len(starts) > len(first.words)


@each_row("sounds", ["a" * 130, f"{'a' * 40} {', ' * 30}", ", " * 100 + "a"])
def test_no_piece_looks_ahead_in_a_word_or_where_no_word_follows(sounds: str) -> None:
    made = read_text("a", READINGS["a"], SYMBOLS, lambda *_: [list(sounds)], looks_ahead=True)
    assert [piece.cuts for piece in made if piece.cuts] == []
    assert sum(piece.numbers.count(4) for piece in made) == sounds.count("a")


def test_a_late_listener_gets_no_sound_twice() -> None:
    found = pieces(words(200), 200, looks_ahead=True)
    parts = [part for piece in found for part in cut_piece(piece, SYMBOLS, 20)]
    assert {part.cuts for part in parts} == {()}
    assert sum(part.numbers.count(4) for part in parts) == 600
    assert {part.ends for part in parts[:-1]} == {"phrase"}


@each_row("text", ["", "...", "XYZ", "\U0001f600"])
def test_a_text_without_a_sound_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedText):
        numbers(text)


@each_row("text", [f"{words(200)} a.", "aaaa, " * 90 + "a.", "a."])
def test_each_word_keeps_its_place_when_a_text_is_cut_into_pieces(text: str) -> None:
    made = read_text(text, READINGS["a"], SYMBOLS, letters)
    smaller = [part for piece in made for part in cut_piece(piece, SYMBOLS, 40)]
    for found in (made, smaller):
        spans = [(word.start, word.end) for piece in found for word in piece.words]
        assert spans == [match.span() for match in re.finditer(r"[^\s,.]+", text)]
        for piece in found:
            for word in piece.words:
                place = round(word.sound) + 1
                assert piece.numbers[place - 1] in (0, SYMBOLS[" "])
                assert piece.numbers[place] in (SYMBOLS["a"], SYMBOLS["\u02c8"])
