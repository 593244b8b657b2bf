"""Texts as hibari's own reader can take them, and the numbers of its sounds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from speech_engine import UnsupportedText
from speech_engine.text.sounds import Piece, cut_sounds, end_of_part, safe_text

MOST_SOUNDS = 400
"""The longest piece, some 25 seconds: a quarter of a second of the processor."""

_PAD = 0
# A number of more digits has no name, and the reader breaks.
_DIGITS = re.compile(r"\d{12}(?=\d)")
# Nor has one of more than five groups: 1,000,000,000,000,000.
_GROUPS = re.compile(r"(?:\d+[.,]){5}(?=\d)")
# The reader would spell the names of these letters.
_FOREIGN = re.compile(r"[^\W\d_A-Za-z\u00aa\u00b5\u00ba\u00c0-\u024f\u1e00-\u1eff]+")


def readable(text: str) -> str:
    """Return a text without what the reader cannot read or would read badly."""
    text = _FOREIGN.sub(" ", safe_text(text))
    return _GROUPS.sub(r"\g<0> ", _DIGITS.sub(r"\g<0> ", text))


def pieces_of(sentences: Iterable[Sequence[str]], symbols: Mapping[str, int]) -> list[Piece]:
    """Return the pieces of sentences, each with a pad at either end. Raise UnsupportedText."""
    pieces: list[Piece] = []
    for sentence in sentences:
        sounds = [sound for sound in sentence if sound in symbols]
        parts = [part for part in cut_sounds(sounds, MOST_SOUNDS) if any(map(str.isalpha, part))]
        pieces += [_piece(part, symbols)._replace(ends=end_of_part(part)) for part in parts[:-1]]
        pieces += [_piece(part, symbols) for part in parts[-1:]]
    if not pieces:
        raise UnsupportedText("The text has nothing that this voice can speak.")
    return pieces


def _piece(sounds: list[str], symbols: Mapping[str, int]) -> Piece:
    return Piece((_PAD, *(symbols[sound] for sound in sounds), _PAD), len(sounds))
