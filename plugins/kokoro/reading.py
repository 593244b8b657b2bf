"""Texts as Kokoro reads them: espeak-ng's sounds in the model's own alphabet, as numbers, in pieces.

How a text sounds is told by a function of the worker, which alone knows espeak-ng.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from plugins.kokoro.model_format import Reading
from speech_engine import UnsupportedText
from speech_engine.text.sounds import cut_sounds, safe_text

Phonemize = Callable[[str, str], list[list[str]]]
"""A function that takes a text and a language of espeak-ng, and returns the sounds of each sentence."""

MOST_SOUNDS = 200
"""Of one piece, some twelve seconds: a listener waits for all of it. The model would take 510."""

_PAD = 0

# The model has one letter for each of these. espeak-ng writes two.
_PAIRS = {"dʒ": "ʤ", "tʃ": "ʧ", "eɪ": "A", "aɪ": "I", "aʊ": "W", "ɔɪ": "Y"}
_AMERICAN = {"oʊ": "O", "ɜː": "ɜɹ", "ɪə": "iə", "ː": "", "ɾ": "T"}
_BRITISH = {"eə": "ɛː", "iə": "ɪə", "əʊ": "Q"}
# English voices never met these, and those stand nearest.
_NEAREST = {"ɚ": "əɹ", "r": "ɹ", "x": "k", "c\u0327": "k", "ɬ": "l", "ʔ": "t", "ʲ": "", "ɐ": "ə"}
_ALPHABETS = {"en-US": (_PAIRS, _AMERICAN, _NEAREST), "en-GB": (_PAIRS, _BRITISH, _NEAREST)}
_ELSEWHERE = (_PAIRS, {"dz": "ʣ", "ts": "ʦ", "oʊ": "O", "əʊ": "Q", "c\u0327": "\u00e7"})


class Piece(NamedTuple):
    """Numbers for the network, with a pad at either end: one sentence, or a part of a long one."""

    numbers: tuple[int, ...]

    def __repr__(self) -> str:
        return f"<Piece of {len(self.numbers)} numbers>"


def read_text(text: str, reading: Reading, symbols: Mapping[str, int], phonemize: Phonemize) -> list[Piece]:
    """Return the pieces of a text. Raise UnsupportedText."""
    pieces = [
        piece
        for sentence in phonemize(safe_text(text), reading.espeak)
        for piece in _pieces(own_alphabet("".join(sentence), reading), symbols)
    ]
    if not pieces:
        raise UnsupportedText("The text has nothing that this voice can speak.")
    return pieces


def own_alphabet(sounds: str, reading: Reading) -> str:
    """Return espeak-ng's sounds as the model learned them."""
    written = unicodedata.normalize("NFD", sounds)
    for table in _ALPHABETS.get(reading.tag, _ELSEWHERE):
        for old, new in table.items():
            written = written.replace(old, new)
    return written


def _pieces(sounds: str, symbols: Mapping[str, int]) -> Iterator[Piece]:
    known = [sound for sound in sounds if sound in symbols]
    for part in cut_sounds(known, MOST_SOUNDS):
        if any(map(str.isalpha, part)):
            yield Piece((_PAD, *(symbols[sound] for sound in part), _PAD))
