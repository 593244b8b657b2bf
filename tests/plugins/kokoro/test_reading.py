"""espeak-ng's sounds in the model's own alphabet, in pieces that it can take."""

import re

import pytest

from plugins.kokoro.model_format import READINGS
from plugins.kokoro.reading import (
    FIRST_SOUNDS,
    LEAST_SOUNDS,
    MOST_SOUNDS,
    SHARED_OFFSET,
    WHOLE_SOUNDS,
    cut_piece,
    own_alphabet,
    read_text,
)
from speech_engine import UnsupportedText
from speech_engine.text.sounds import Piece
from tests.tables import each_row

SYMBOLS = {" ": 1, ",": 2, ".": 3, "a": 4, "\u02c8": 5, "?": 6}


def letters(text: str, _language: str, _clusters: object) -> list[list[str]]:
    """A reader to whom each letter is a sound, and each full stop the end of a sentence."""
    return [list(f"{part}.") for part in text.split(".") if part.strip()]


def pieces(text: str, said: int = 0, letter: str = "a", voice: str = "") -> list[Piece]:
    return read_text(text, READINGS[letter], SYMBOLS, letters, said, voice)


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
        assert (parts[-1].ends, parts[0].pace) == (piece.ends, piece.pace)
        assert all(part.ends == "phrase" for part in parts[:-1])
    assert cut_piece(long, SYMBOLS, long.sounds) == [long]


def test_a_sentence_of_three_seconds_is_whole_and_keeps_its_pace() -> None:
    (piece,) = pieces(words(12))
    assert (piece.sounds, piece.ends, piece.pace) == (WHOLE_SOUNDS, "sentence", 1.0)
    assert len(pieces(f"{words(12)} a")) == 2


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
    assert [piece.pace for piece in pieces(words(23), 1_000)] == [1.0]
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


@each_row(
    ("letter", "voice", "text", "paces"),
    [
        ("a", "af_nova", f"{words(6)}, {words(12)}", [1.105, 1.0525]),
        ("a", "af_heart", f"{words(6)}, {words(12)}", [0.94, 0.97]),
        ("e", "", f"{words(6)}, {words(12)}", [1.1, 1.05]),
        ("p", "", f"{words(5)}, {words(9)}", [1.125, 1.0625]),
        ("h", "", f"{words(6)}, {words(12)}", [1.0, 1.0]),
    ],
)
def test_a_part_of_a_sentence_is_as_fast_as_in_the_whole(
    letter: str, voice: str, text: str, paces: list[float]
) -> None:
    assert [piece.pace for piece in pieces(text, letter=letter, voice=voice)] == pytest.approx(paces)


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
