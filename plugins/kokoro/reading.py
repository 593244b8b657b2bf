"""Turn texts into pieces of numbers: espeak-ng's sounds, written in the model's own alphabet."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping

from plugins.kokoro.model_format import Reading
from speech_engine import UnsupportedText
from speech_engine.text.sounds import Phonemize, Piece, after_cut, cut_place, end_of_part, safe_text

MOST_SOUNDS = 120
"""The longest piece, some seven seconds. A listener waits for all of it. The model would take 510 sounds."""
FIRST_SOUNDS = 22
"""The longest first piece, some 1.2 seconds. A later one may be longer by a quarter of the sounds before it,
so that it is ready in time."""
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
_REMOTE = (_PAIRS, {"dz": "ʣ", "ts": "ʦ", "oʊ": "O", "əʊ": "Q", "c\u0327": "\u00e7"})


def read_text(
    text: str, reading: Reading, symbols: Mapping[str, int], phonemize: Phonemize, said: int = 0
) -> list[Piece]:
    """Return the pieces of a text, after `said` sounds of others; each has a pad at either end.

    Raise UnsupportedText.
    """
    pieces: list[Piece] = []
    for sentence in phonemize(safe_text(text), reading.espeak, ()):
        known = [sound for sound in own_alphabet("".join(sentence), reading) if sound in symbols]
        for piece in _pieces(known, symbols, said):
            pieces.append(piece)
            said += piece.sounds
    if not pieces:
        raise UnsupportedText("The text has nothing that this voice can speak.")
    return pieces


def cut_piece(piece: Piece, symbols: Mapping[str, int], most: int) -> list[Piece]:
    """Return the parts of a piece, each of `most` sounds or fewer, and none of them very short."""
    letters = {number: symbol for symbol, number in symbols.items()}
    rest, parts = [letters[number] for number in piece.numbers[1:-1]], list[Piece]()
    while len(rest) > most:
        end = cut_place(rest, most, most, most // 2)
        part, rest = rest[:end], after_cut(rest, end)
        parts.append(Piece(_numbers(part, symbols), len(part), end_of_part(part)))
    return [*parts, piece._replace(numbers=_numbers(rest, symbols), sounds=len(rest))]


def _numbers(sounds: list[str], symbols: Mapping[str, int]) -> tuple[int, ...]:
    return (_PAD, *(symbols[sound] for sound in sounds), _PAD)


def own_alphabet(sounds: str, reading: Reading) -> str:
    written = unicodedata.normalize("NFD", sounds)
    for table in _ALPHABETS.get(reading.tag, _REMOTE):
        for old, new in table.items():
            written = written.replace(old, new)
    return written


def _pieces(sounds: list[str], symbols: Mapping[str, int], said: int) -> Iterator[Piece]:
    while any(map(str.isalpha, sounds)):
        goal = min(FIRST_SOUNDS + said // 4, MOST_SOUNDS)
        # A short word alone would sound odd, and the network adds the same silence to each piece.
        end = cut_place(sounds, goal, MOST_SOUNDS, goal // 2) if len(sounds) > goal else len(sounds)
        part, sounds = sounds[:end], after_cut(sounds, end)
        if any(map(str.isalpha, part)):
            yield Piece(_numbers(part, symbols), len(part), end_of_part(part) if sounds else "sentence")
        said += len(part)
