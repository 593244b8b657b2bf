"""Turn texts into pieces of numbers: espeak-ng's sounds, written in the model's own alphabet."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence

from plugins.kokoro.model_format import Reading
from plugins.kokoro.word_places import Phrase, word_places
from speech_engine import UnsupportedText
from speech_engine.text.sounds import (
    Phonemize,
    Piece,
    WordPlace,
    after_cut,
    cut_place,
    end_of_part,
    safe_text,
)

MOST_SOUNDS = 120
"""The longest piece, some seven seconds. A listener waits for all of it. The model would take 510 sounds."""
WHOLE_SOUNDS = 60
"""A sentence up to this length, some three seconds, is one piece: the network slows down at both ends of what
it is given, so parts of a sentence sound halting."""
FIRST_SOUNDS = 45
"""The longest first piece of a longer sentence. A later one may be longer by a quarter of the sounds before
it, so that it is ready in time."""
LEAST_SOUNDS = 20
"""The shortest rest of a sentence."""
SHARED_OFFSET = 60
"""A text beside others begins as if so many sounds had been said."""

# fmt: off
_HASTE = {
    "en": 0.1, "es": 0.2, "fr": -0.05, "it": 0.2, "pt": 0.25,
    "af_alloy": 0.17, "af_heart": -0.12, "af_nova": 0.21, "af_river": 0.19, "am_adam": -0.04, "am_echo": 0.22,
    "am_liam": 0.15, "am_michael": -0.11, "am_onyx": 0.26, "bf_emma": 0.08, "bm_fable": 0.4,
}
# fmt: on
"""How much faster a short part of a sentence is spoken, by language and by voice, so that it takes as long as
in the whole. It was fitted to two to twelve long sentences of each."""
_SHARES = ((24, 1.0), (40, 0.5), (60, 0.25))
"""The share of it for a part of up to so many sounds. A longer one has its pace."""

_PAD = 0

# The model has one letter for each of these. espeak-ng writes two letters.
_PAIRS = {"dʒ": "ʤ", "tʃ": "ʧ", "eɪ": "A", "aɪ": "I", "aʊ": "W", "ɔɪ": "Y"}
_AMERICAN = {"oʊ": "O", "ɜː": "ɜɹ", "ɪə": "iə", "ː": "", "ɾ": "T"}
_BRITISH = {"eə": "ɛː", "iə": "ɪə", "əʊ": "Q"}
# English voices did not learn these sounds, so the nearest ones replace them.
_NEAREST = {"ɚ": "əɹ", "r": "ɹ", "x": "k", "c\u0327": "k", "ɬ": "l", "ʔ": "t", "ʲ": "", "ɐ": "ə"}
_ALPHABETS = {"en-US": (_PAIRS, _AMERICAN, _NEAREST), "en-GB": (_PAIRS, _BRITISH, _NEAREST)}
_OTHER_ALPHABET = (_PAIRS, {"dz": "ʣ", "ts": "ʦ", "oʊ": "O", "əʊ": "Q", "c\u0327": "\u00e7"})


def read_text(
    text: str,
    reading: Reading,
    symbols: Mapping[str, int],
    phonemize: Phonemize,
    sounds_before: int = 0,
    voice: str = "",
) -> list[Piece]:
    """Return the pieces of a text, after `sounds_before` sounds of others; each has a pad at either end.

    Raise UnsupportedText.
    """
    sentences = phonemize(safe_text(text), reading.espeak, ())
    haste = _HASTE.get(voice, _HASTE.get(reading.tag[:2], 0.0))
    return cut_phrases(_phrases(text, reading, symbols, sentences), symbols, sounds_before, haste)


def cut_phrases(
    phrases: Iterable[Phrase], symbols: Mapping[str, int], sounds_before: int = 0, haste: float = 0.0
) -> list[Piece]:
    """Return the pieces of phrases, as `read_text` does."""
    pieces: list[Piece] = []
    for phrase in phrases:
        made = list(_pieces(phrase.sounds, symbols, sounds_before, haste, phrase.words))
        sounds_before += sum(piece.sounds for piece in made)
        pieces += (piece._replace(ends=phrase.ends) if piece.ends == "sentence" else piece for piece in made)
    if not pieces:
        raise UnsupportedText("The text has nothing that this voice can speak.")
    return pieces


def _phrases(
    text: str, reading: Reading, symbols: Mapping[str, int], sentences: Iterable[Sequence[str]]
) -> Iterator[Phrase]:
    for sentence in sentences:
        known = [sound for sound in own_alphabet("".join(sentence), reading) if sound in symbols]
        yield Phrase(known, word_places(text, known))


def cut_piece(piece: Piece, symbols: Mapping[str, int], most: int) -> list[Piece]:
    """Return the parts of a piece, each of `most` sounds or fewer, and none of them very short."""
    letters = {number: symbol for symbol, number in symbols.items()}
    whole = [letters[number] for number in piece.numbers[1:-1]]
    rest, parts, begin = whole, list[Piece](), 0
    while len(rest) > most:
        end = cut_place(rest, most, most, most // 2)
        part, rest = rest[:end], after_cut(rest, end)
        words = _words_in(piece.words, begin, end)
        parts.append(Piece(_numbers(part, symbols), len(part), end_of_part(part), piece.pace, words))
        begin = len(whole) - len(rest)
    words = _words_in(piece.words, begin, len(rest))
    return [*parts, piece._replace(numbers=_numbers(rest, symbols), sounds=len(rest), words=words)]


def _words_in(words: Sequence[WordPlace], begin: int, count: int) -> tuple[WordPlace, ...]:
    """Return the words that begin in a part of `count` sounds from `begin` on."""
    return tuple(
        word._replace(sound=word.sound - begin) for word in words if begin <= word.sound < begin + count
    )


def _numbers(sounds: list[str], symbols: Mapping[str, int]) -> tuple[int, ...]:
    return (_PAD, *(symbols[sound] for sound in sounds), _PAD)


def own_alphabet(sounds: str, reading: Reading) -> str:
    written = unicodedata.normalize("NFD", sounds)
    for table in _ALPHABETS.get(reading.tag, _OTHER_ALPHABET):
        for old, new in table.items():
            written = written.replace(old, new)
    return written


def _pieces(
    sounds: list[str],
    symbols: Mapping[str, int],
    sounds_before: int,
    haste: float,
    words: Sequence[WordPlace],
) -> Iterator[Piece]:
    is_whole, count = True, len(sounds)
    while any(map(str.isalpha, sounds)):
        goal = min(FIRST_SOUNDS + sounds_before // 4, MOST_SOUNDS)
        end = len(sounds)
        if end > max(goal, WHOLE_SOUNDS):
            end, is_whole = (
                cut_place(sounds, min(goal, end - LEAST_SOUNDS - 1), MOST_SOUNDS, goal // 2),
                False,
            )
        begin = count - len(sounds)
        part, sounds = sounds[:end], after_cut(sounds, end)
        if any(map(str.isalpha, part)):
            pace = 1.0 if is_whole else 1.0 + haste * _share(len(part))
            ends = end_of_part(part) if sounds else "sentence"
            yield Piece(_numbers(part, symbols), len(part), ends, pace, _words_in(words, begin, end))
        sounds_before += len(part)


def _share(sounds: int) -> float:
    return next((share for most, share in _SHARES if sounds <= most), 0.0)
