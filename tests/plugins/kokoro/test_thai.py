"""Thai texts with a small dictionary: where words, phrases and sentences end, and what is said."""

import time
from collections.abc import Sequence

import pytest

from plugins.kokoro.reading import cut_phrases
from plugins.kokoro.thai import ThaiReader
from plugins.kokoro.thai_english import thai_sounds
from plugins.kokoro.word_places import Phrase
from speech_engine import UnsupportedText
from tests.plugins.kokoro import tiny
from tests.tables import each_row

SYMBOLS = {symbol: number for number, symbol in enumerate(tiny.SYMBOLS) if number}
LATIN = {"hello": "həlˈoʊ", "street": "stɹˈiːt", "xyz": ""}


def espeak(word: str, language: str, clusters: object) -> list[list[str]]:
    assert (language, clusters) == ("en-us", ())
    return [list(LATIN[word])]


READER = ThaiReader(tiny.WORDS, SYMBOLS, espeak)


def phrases(text: str) -> list[Phrase]:
    return list(READER.read(text, "en-us"))


def said(text: str) -> list[str]:
    return ["".join(phrase.sounds) for phrase in phrases(text)]


def cut(text: str) -> list[str]:
    return [token.text for token in READER.cut(text)]


@each_row(
    ("text", "words"),
    [
        ("สวัสดีครับ", ["สวัสดี", "ครับ"]),
        # Of two ways to cut, that with the more common words is right.
        ("เรือชามละ", ["เรือ", "ชาม", "ละ"]),
        # A word that the dictionary lacks stays whole, with known words inside of it.
        ("สวัสดีวราภรณ์ครับ", ["สวัสดี", "วราภรณ์", "ครับ"]),
        ("ไปHelloไป 12", ["ไป", "Hello", "ไป", " ", "1", "2"]),
        ("don't", ["don't"]),
        ("", []),
    ],
)
def test_a_text_is_cut_into_words(text: str, words: list[str]) -> None:
    assert cut(text) == words


@each_row(
    ("text", "sounds"),
    [
        ("สวัสดีครับ", ["sa↓.wat↓.diː→ kʰrap↑"]),
        # Each repeats the word before it.
        ("ไปๆ น้ำ ๆ", ["paj→ paj→ naːm↑ naːm↑"]),
        # Digits of both kinds, with and without an entry.
        ("2๒ 5", ["sɔːŋ↗ sɔːŋ↗ haː↘"]),
        # Sounds of English, an s that stands alone, and names of letters.
        ("hello street", ["ha↓.loː→ sa↓.triːt↑"]),
        ("ATM xyz", ["ʔeː→.tʰiː→.ʔem→ ʔek↓.waːj→.sɛːt↘"]),
        # Other scripts, emoji and lone signs are silent.
        ("ไป😀ไป你好 ่ ไป", ["paj→ paj→ paj→"]),
        ("ไป! ไป… ไป. ไป\nไป", ["paj→"] * 5),
        ("", []),
        ("...", []),
        ("่", []),
    ],
)
def test_what_is_said_of_a_text(text: str, sounds: list[str]) -> None:
    assert said(text) == sounds


def test_a_blank_or_a_comma_ends_a_phrase_that_is_long_enough() -> None:
    long = "สวัสดีครับสวัสดี"
    ends = [
        (len(phrase.words), phrase.ends) for phrase in phrases(f"{long} {long}, {long} ครับ! {long} ATM ไป")
    ]
    assert ends == [(3, "clause"), (3, "clause"), (4, "sentence"), (5, "sentence")]
    (pieces,) = [cut_phrases(phrases(f"{long} {long}"), SYMBOLS)]
    assert [piece.ends for piece in pieces] == ["clause", "sentence"]


@each_row("text", ["สวัสดีครับ ไปน้ำ", "วราภรณ์ hello ไป", "ไปๆ สองสวัสดีครับสวัสดี สวัสดี"])
def test_words_have_their_places_in_the_text_and_among_the_sounds(text: str) -> None:
    words = [token.text for token in READER.cut(text) if said(token.text) or token.text == "ๆ"]
    found: list[str] = []
    for phrase in phrases(text):
        groups = "".join(phrase.sounds).split(" ")
        begins = [sum(map(len, groups[:number])) + number for number in range(len(groups))]
        assert [word.sound for word in phrase.words] == begins
        found += [text[word.start : word.end] for word in phrase.words]
    assert found == words


def sizes(pieces: Sequence[Phrase]) -> list[int]:
    return [len(phrase.sounds) for phrase in pieces]


@each_row("text", ["เ" * 10_000, "่" * 4_096, "ๆ" * 4_096, "😀" * 4_096, "เ์่๊" * 1_000, "\u200b" * 4_096])
def test_signs_alone_say_nothing(text: str) -> None:
    with pytest.raises(UnsupportedText):
        cut_phrases(phrases(text), SYMBOLS)


def test_a_word_is_said_again_a_few_times_at_most() -> None:
    (whole,) = said("ไปๆๆๆๆๆ ไปๆ")
    assert whole.count("paj") == 6
    assert sum(map(len, said("กา" * 1_024 + "ๆ" * 2_048))) < 5 * sum(map(len, said("กา" * 1_024)))


@each_row("text", ["ก" * 4_096, "กา" * 2_048, "สวัสดี" * 680, "ก็" * 2_048, "ไป่้ก๊Aๆ" * 600])
def test_a_long_text_without_blanks_is_read_in_little_time(text: str) -> None:
    begin = time.process_time()
    pieces = cut_phrases(phrases(text), SYMBOLS)
    assert time.process_time() - begin < 1.0
    assert max(piece.sounds for piece in pieces) <= 120
    assert {piece.ends for piece in pieces} <= {"phrase", "sentence"}


def test_a_very_long_word_is_said_as_its_syllables() -> None:
    reader = ThaiReader({"กาก": "/" + ".".join(["kaːk˨˩"] * 30) + "/"}, SYMBOLS, espeak)
    (phrase,) = reader.read("กาก", "en-us")
    assert "".join(phrase.sounds) == " ".join(["kaːk↓"] * 30)


def test_sounds_that_the_network_does_not_have_are_left_out() -> None:
    few = ThaiReader(tiny.WORDS, dict.fromkeys("sawtdi.", 1), espeak)
    (phrase,) = few.read("สวัสดี", "en-us")
    assert "".join(phrase.sounds) == "sa.wat.di"


@each_row(
    ("english", "sounds"),
    [
        ("kəmpjˈuːɾɚ", "kʰam→.pʰiw→.tɤː↘"),
        ("ɡˈuːɡəl", "kuː→.kan↘"),
        ("mˈiːɾɪŋ", "miː→.tiŋ↘"),
        ("ɔnlˈaɪn", "ʔɔːn→.laj→"),
        ("ˈaɪfoʊn", "ʔaj→.foːn↘"),
        ("stɹˈɛŋθ", "sa↓.treŋ→"),
        ("wˈɜːld", "wɤːn→"),
        ("bˈoʊt", "boːt↑"),
        ("fˈeɪsbʊk", "feːt↓.buk↑"),
        ("skwˈɛɹ", "sa↓.kwɛː→"),
        ("", ""),
        ("?ˌ", ""),
        ("s", ""),
    ],
)
def test_english_is_said_as_thais_say_it(english: str, sounds: str) -> None:
    assert thai_sounds(english) == sounds
