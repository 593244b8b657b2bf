"""Texts as numbers for a network: nothing that harms espeak-ng, and no piece that is too long."""

import pytest

from plugins.piper.reading import MOST_SOUNDS, read_text
from plugins.piper.voice_format import VoiceConfig
from speech_engine import UnsupportedLanguage, UnsupportedText
from speech_engine.text.sounds import safe_text
from tests.tables import each_row

SYMBOLS = {"^": (1,), "$": (2,), "_": (0,), " ": (3,), ".": (4,), "a": (5,), "b": (6, 7)}
CONFIG = VoiceConfig(22_050, "en-US", "en-us", False, SYMBOLS, ("0",), frozenset(), 0.6, 1.0, 0.8, 256)
SPELLED = CONFIG._replace(takes_letters=True)


def letters(text: str, _language: str, _clusters: object) -> list[list[str]]:
    """A reader to whom each letter is a sound, and each full stop the end of a sentence."""
    return [list(f"{part}.") for part in text.split(".") if part.strip()]


def numbers(text: str, config: VoiceConfig = CONFIG) -> list[tuple[int, ...]]:
    return [piece.numbers for piece in read_text(text, config, letters)]


def test_each_sound_is_followed_by_a_pad_between_a_beginning_and_an_end() -> None:
    assert numbers("ab") == [(1, 0, 5, 0, 6, 7, 0, 4, 0, 2)]


def test_each_sentence_is_a_piece_and_unknown_sounds_are_left_out() -> None:
    assert numbers("a.zb.") == [(1, 0, 5, 0, 4, 0, 2), (1, 0, 6, 7, 0, 4, 0, 2)]


def test_a_voice_that_spells_reads_the_letters_themselves() -> None:
    assert numbers("ab", SPELLED) == [(1, 0, 5, 0, 6, 7, 0, 2)]


def test_a_long_sentence_is_cut_between_words() -> None:
    pieces = numbers(" ".join(["aaaaaaaaa"] * 100), SPELLED)
    assert len(pieces) > 1
    assert all(len(piece) <= 2 * MOST_SOUNDS + 3 for piece in pieces)
    assert sum(piece.count(5) for piece in pieces) == 900
    assert all(piece[2] in (3, 5) for piece in pieces)


def test_a_long_sentence_is_cut_after_a_comma_if_there_is_one() -> None:
    with_commas = {**SYMBOLS, ",": (8,)}
    words = " ".join(["aaaaaaaaa"] * 9)
    pieces = read_text(f"{words}, {words}", SPELLED._replace(symbols=with_commas), letters)
    assert [piece.numbers.count(8) for piece in pieces] == [1, 0]
    assert pieces[0].numbers[-3:] == (8, 0, 2)


def test_a_word_without_end_is_cut_somewhere() -> None:
    assert sum(piece.count(5) for piece in numbers("a" * 3000, CONFIG)) == 3000 - 3000 // 61


@each_row("text", ["", "...", "zzz", "\U0001f600", "[[]]"])
def test_a_text_without_a_sound_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedText):
        numbers(text)


def test_thai_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedLanguage, match="Thai"):
        numbers("a สวัสดี")


def test_what_harms_espeak_becomes_a_blank() -> None:
    assert safe_text("a\0b`c[[d]]e\U0001f600") == "a b c  d  e "
    assert safe_text("caf\u00e9, 5 \u20ac") == "caf\u00e9, 5 \u20ac"
    assert "." not in safe_text("a." * 20)
    assert max(map(len, safe_text("a" * 500).split())) <= 60
