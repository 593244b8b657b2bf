"""Turn the library's word marks into words of the text.

The library marks spoken words, not written words. "$1,026" brings a mark for the sign, each group of
digits and each word of the number, and some marks point backwards. Here a word is a written word. It
begins with the first mark that falls into it, and later marks inside it are dropped.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

import msgspec

from speech_engine import Word

# Dashes separate words even if there is no space.
_TOKEN = re.compile(r"[^\s\u2012-\u2015\u2026]+")


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """A mark of the library: its place (characters, from 0) and its time (samples, from 0)."""

    position: int
    sample: int


class WordTimes:
    """The words of one text. It gets the marks in the order in which they come."""

    def __init__(self, text: str, first_sample: int) -> None:
        self._text = text
        self._first_sample = first_sample
        self._tokens = _TOKEN.finditer(text)
        self._next = next(self._tokens, None)

    def words(self, marks: Iterable[Mark]) -> tuple[Word, ...]:
        """Return the words that begin with these marks."""
        return tuple(word for mark in marks if (word := self._begun_by(mark)) is not None)

    def _begun_by(self, mark: Mark) -> Word | None:
        token = None
        while self._next is not None and self._next.start() <= mark.position:
            token, self._next = self._next, next(self._tokens, None)
        # A mark past the token's end lies in the white space behind a word that had no mark of its own.
        if token is None or mark.position >= token.end():
            return None
        start, end = self._without_punctuation(token.start(), token.end())
        return Word(self._first_sample + mark.sample, start, end)

    def _without_punctuation(self, start: int, end: int) -> tuple[int, int]:
        first, last = start, end
        while first < last and unicodedata.category(self._text[first]).startswith("P"):
            first += 1
        while last > first and unicodedata.category(self._text[last - 1]).startswith("P"):
            last -= 1
        return (first, last) if first < last else (start, end)
