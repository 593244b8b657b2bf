"""espeak-ng's sounds in the model's own alphabet, in pieces that it can take."""

from __future__ import annotations

import pytest

from plugins.kokoro.model_format import READINGS
from plugins.kokoro.reading import MOST_SOUNDS, own_alphabet, read_text
from speech_engine import UnsupportedText

SYMBOLS = {" ": 1, ",": 2, ".": 3, "a": 4}


def letters(text: str, _language: str) -> list[list[str]]:
    """A reader to whom each letter is a sound, and each full stop the end of a sentence."""
    return [list(f"{part}.") for part in text.split(".") if part.strip()]


def numbers(text: str) -> list[tuple[int, ...]]:
    return [piece.numbers for piece in read_text(text, READINGS["a"], SYMBOLS, letters)]


@pytest.mark.parametrize(
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


@pytest.mark.parametrize("text", ["", "...", "XYZ", "\U0001f600"])
def test_a_text_without_a_sound_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedText):
        numbers(text)
