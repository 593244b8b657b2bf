"""espeak-ng's sounds in the model's own alphabet, in pieces that it can take."""

import pytest

from plugins.kokoro.model_format import READINGS
from plugins.kokoro.reading import (
    FIRST_SOUNDS,
    MOST_SOUNDS,
    SHARED_OFFSET,
    cut_piece,
    own_alphabet,
    read_text,
)
from speech_engine import UnsupportedText
from tests.tables import each_row

SYMBOLS = {" ": 1, ",": 2, ".": 3, "a": 4}


def letters(text: str, _language: str, _clusters: object) -> list[list[str]]:
    """A reader to whom each letter is a sound, and each full stop the end of a sentence."""
    return [list(f"{part}.") for part in text.split(".") if part.strip()]


def numbers(text: str) -> list[tuple[int, ...]]:
    return [piece.numbers for piece in read_text(text, READINGS["a"], SYMBOLS, letters)]


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


def test_a_piece_is_cut_again_for_a_listener_who_waits_and_nothing_is_lost() -> None:
    *_, long, _, last = read_text(" ".join(["\u02c8aaaa"] * 200), READINGS["a"], SYMBOLS, letters)
    for piece in (long, last):
        parts = cut_piece(piece, SYMBOLS, 40)
        assert len(parts) > 1
        assert max(part.sounds for part in parts) <= 40
        assert sum(part.numbers.count(4) for part in parts) == piece.numbers.count(4)
        assert parts[-1].ends == piece.ends
        assert all(part.ends == "phrase" for part in parts[:-1])
    assert cut_piece(long, SYMBOLS, long.sounds) == [long]


def test_the_first_piece_is_short_and_later_ones_are_longer() -> None:
    pieces = read_text(" ".join(["\u02c8aaaa"] * 200), READINGS["a"], SYMBOLS, letters)
    sizes = [piece.sounds for piece in pieces]
    assert sizes[0] <= FIRST_SOUNDS < sizes[1] < sizes[2]
    assert max(sizes) > MOST_SOUNDS - 5
    for number, size in enumerate(sizes):
        assert size <= FIRST_SOUNDS + sum(sizes[:number]) // 4
    assert [piece.ends for piece in pieces] == [*["phrase"] * (len(pieces) - 1), "sentence"]


def test_what_was_said_before_lets_a_piece_be_longer() -> None:
    text = " ".join(["aaaa"] * 16)
    assert len(read_text(text, READINGS["a"], SYMBOLS, letters)) > 2
    assert len(read_text(text, READINGS["a"], SYMBOLS, letters, said=SHARED_OFFSET)) == 2
    assert len(read_text(text, READINGS["a"], SYMBOLS, letters, said=300)) == 1


@each_row(
    ("text", "first"),
    [
        # After the comma, though more would fit.
        ("aaaa aaaa aaa, aaaa aaaa aaaa aaaa", "aaaa aaaa aaa,"),
        # Never one short word, though a comma follows it.
        ("aaaaaa, aaa aaaa aaaaa aaaa aaaa aaaa", "aaaaaa, aaa aaaa"),
        # A long word ends the piece, however long it is.
        ("aaaaaaaa aaaaaaaaaaaaaaaaaaaa aaaa", "aaaaaaaa aaaaaaaaaaaaaaaaaaaa"),
    ],
)
def test_the_first_piece_ends_with_a_phrase(text: str, first: str) -> None:
    (piece, *_) = read_text(text, READINGS["a"], SYMBOLS, letters)
    assert piece.sounds == len(first)


@each_row("text", ["", "...", "XYZ", "\U0001f600"])
def test_a_text_without_a_sound_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedText):
        numbers(text)
