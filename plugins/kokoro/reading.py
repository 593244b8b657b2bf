"""Turn texts into pieces of numbers: espeak-ng's sounds, written in the model's own alphabet."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence

from plugins.kokoro.model_format import Reading
from plugins.kokoro.word_places import Phrase, word_places
from speech_engine import UnsupportedText
from speech_engine.text.sounds import (
    Ends,
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
FIRST_SOUNDS = 40
"""The longest first piece of a longer sentence. A later one may be longer by a quarter of the sounds before
it, so that it is ready in time."""
AHEAD_SOUNDS = 12
"""So many of the sounds of a piece lie behind its last cut, and are not kept. The network slows down at the
end of what it is given, so what is kept takes as long as in the whole sentence."""
NEAR_SOUNDS = 8
"""How far the first cut of a piece may be from the last one."""
LEAST_SOUNDS = 20
"""The shortest rest of a sentence."""
SHARED_OFFSET = 60
"""A text beside others begins as if so many sounds had been said."""

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
    *,
    looks_ahead: bool = False,
) -> list[Piece]:
    """Return the pieces of a text, after `sounds_before` sounds of others; each has a pad at either end.

    With `looks_ahead`, a piece that ends inside a sentence has cuts. Raise UnsupportedText.
    """
    sentences = phonemize(safe_text(text), reading.espeak, ())
    phrases = _phrases(text, reading, symbols, sentences)
    return cut_phrases(phrases, symbols, sounds_before, looks_ahead=looks_ahead)


def cut_phrases(
    phrases: Iterable[Phrase],
    symbols: Mapping[str, int],
    sounds_before: int = 0,
    *,
    looks_ahead: bool = False,
) -> list[Piece]:
    """Return the pieces of phrases, as `read_text` does."""
    pieces: list[Piece] = []
    for phrase in phrases:
        for piece in _pieces(phrase.sounds, symbols, sounds_before, phrase.words, looks_ahead):
            pieces.append(piece._replace(ends=phrase.ends) if piece.ends == "sentence" else piece)
            sounds_before += piece.sounds
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
    """Return the parts of a piece, each of `most` sounds or fewer, and none of them very short. They have no
    cuts."""
    if len(piece.numbers) - 2 <= most:
        return [piece]
    letters = {number: symbol for symbol, number in symbols.items()}
    whole = [letters[number] for number in piece.numbers[1 : 1 + piece.sounds]]
    rest, parts, begin = whole, list[Piece](), 0
    while len(rest) > most:
        end = cut_place(rest, most, most, most // 2)
        part, rest = rest[:end], after_cut(rest, end)
        parts.append(_piece(part, symbols, end_of_part(part), _words_in(piece.words, begin, end)))
        begin = len(whole) - len(rest)
    ends = end_of_part(rest) if piece.cuts else piece.ends
    return [*parts, _piece(rest, symbols, ends, _words_in(piece.words, begin, len(rest)))]


def without_first(piece: Piece, sounds: int) -> Piece:
    """Return the rest of a piece."""
    return piece._replace(
        numbers=(_PAD, *piece.numbers[1 + sounds :]),
        sounds=piece.sounds - sounds,
        words=_words_in(piece.words, sounds, len(piece.numbers)),
        cuts=tuple(cut - sounds for cut in piece.cuts),
    )


def _words_in(words: Sequence[WordPlace], begin: int, count: int) -> tuple[WordPlace, ...]:
    """Return the words that begin in a part of `count` sounds from `begin` on."""
    return tuple(
        word._replace(sound=word.sound - begin) for word in words if begin <= word.sound < begin + count
    )


def _piece(
    sounds: Sequence[str], symbols: Mapping[str, int], ends: Ends, words: tuple[WordPlace, ...]
) -> Piece:
    return Piece((_PAD, *(symbols[sound] for sound in sounds), _PAD), len(sounds), ends, words)


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
    words: Sequence[WordPlace],
    looks_ahead: bool,
) -> Iterator[Piece]:
    count = len(sounds)
    while any(map(str.isalpha, sounds)):
        goal = min(FIRST_SOUNDS + sounds_before // 4, MOST_SOUNDS)
        begin, end, cuts = count - len(sounds), len(sounds), tuple[int, ...]()
        if end > max(goal, WHOLE_SOUNDS):
            kept = min(goal - AHEAD_SOUNDS * looks_ahead, end - LEAST_SOUNDS - 1)
            end = min(end, cut_place(sounds, kept, MOST_SOUNDS, goal // 2))
            cuts = _cuts(sounds, kept, end) if looks_ahead else ()
        end, last = (cuts[0], cuts[-1]) if cuts else (end, end)
        part, sounds = sounds[: last + AHEAD_SOUNDS * bool(cuts)], after_cut(sounds, end)
        if any(map(str.isalpha, part)):
            ends: Ends = "word" if cuts else end_of_part(part) if sounds else "sentence"
            made = _piece(part, symbols, ends, _words_in(words, begin, last))
            yield made._replace(sounds=end, cuts=cuts)
        sounds_before += end


def _cuts(sounds: list[str], most: int, usual: int) -> tuple[int, ...]:
    """Return where words end near `most` sounds, or else the usual cut. There is none in a word, or if no
    word follows soon."""

    def fits(at: int) -> bool:
        return sounds[at : at + 1] == [" "] and any(map(str.isalpha, sounds[at : at + AHEAD_SOUNDS]))

    near = tuple(filter(fits, range(most - NEAR_SOUNDS, most + 1)))
    return near or tuple(filter(fits, (usual,)))
