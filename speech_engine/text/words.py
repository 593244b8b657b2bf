"""Finds the words of a lexicon in a text: the longest first, and only whole words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from speech_engine.text import cleaning

# Written without spaces between words, so that a word may begin or end anywhere: Thai, Lao, Burmese, Khmer,
# Japanese, Chinese.
_UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    r"\U00020000-\U0002fa1f"
)
_GOES_ON = re.compile(rf"(?<![{_UNSPACED}])[^\W{_UNSPACED}]")
_MORE_DIGITS_BEFORE = re.compile(r"(?:[0-9][.,:/−–-]|[$€£¥₦฿₹] ?)$")
_MORE_DIGITS = re.compile(r"[.,:/−–-][0-9]")
_BEFORE = 2
_START = re.compile(rf"(?<![^\W{_UNSPACED}])\S|[{_UNSPACED}]")


class FoundWord(NamedTuple):
    start: int
    end: int
    spoken: str


class WordFinder:
    """A lexicon, ready for searches. One large pattern would take longer to compile than to speak."""

    def __init__(self, lexicon: Mapping[str, str]) -> None:
        self._spoken = {cleaning.cleaned(word)[0]: spoken for word, spoken in lexicon.items()}
        self._spoken.pop("", None)
        lengths: dict[str, set[int]] = {}
        for word in self._spoken:
            lengths.setdefault(_lowered(word)[:2], set()).add(len(word))
        self._lengths = {first: sorted(found, reverse=True) for first, found in lengths.items()}

    def __repr__(self) -> str:
        return f"<WordFinder {len(self._spoken)}>"

    def find(self, text: str, boundaries: Collection[int] | None = None) -> Iterator[FoundWord]:
        """Yields the words in a cleaned text, in order, without overlap. With `boundaries`, a word begins and
        ends at two of these places; without them, no letter stands beside a word."""
        lowered = _lowered(text)
        at = 0
        for start in self._starts(lowered, boundaries):
            if start < at:
                continue
            for length in self._tried(lowered, start):
                end = start + length
                if end > len(text):
                    continue
                said = self._said(text[start:end], lowered[start:end])
                if said is not None and _ends(text, end, boundaries) and _is_whole(text, start, end):
                    yield FoundWord(start, end, said)
                    at = end
                    break

    def replaced(self, text: str) -> str:
        """Returns a cleaned text with each word replaced by its spoken form."""
        pieces, at = [], 0
        for found in self.find(text):
            pieces += [text[at : found.start], found.spoken]
            at = found.end
        return "".join((*pieces, text[at:]))

    def _tried(self, lowered: str, start: int) -> Iterable[int]:
        """Returns the possible lengths of a word that begins here, by its first one or two characters."""
        longer = self._lengths.get(lowered[start : start + 2], ())
        return (*longer, 1) if lowered[start] in self._lengths else longer

    def _starts(self, lowered: str, boundaries: Collection[int] | None) -> Iterable[int]:
        if boundaries is None:
            return (match.start() for match in _START.finditer(lowered))
        return (place for place in range(len(lowered)) if place in boundaries)

    def _said(self, word: str, lowered: str) -> str | None:
        for known in (word, lowered):
            if (said := self._spoken.get(known)) is not None:
                # A word that stands for itself is kept as it is written, with its capital letters.
                return word if said == known else said
        return None


@lru_cache(maxsize=64)
def _of(items: tuple[tuple[str, str], ...]) -> WordFinder:
    return WordFinder(dict(items))


def words_of(lexicon: Mapping[str, str]) -> WordFinder:
    return _of(tuple(lexicon.items()))


def _ends(text: str, end: int, boundaries: Collection[int] | None) -> bool:
    if boundaries is not None:
        return end in boundaries
    if end == len(text):
        return True
    # An accent or a vowel sign belongs to the letter before it.
    return not _GOES_ON.match(text, end) and unicodedata.category(text[end])[0] != "M"


def _is_whole(text: str, start: int, end: int) -> bool:
    """Not a part of a number, or an amount of money: a brand `99` is not in `0,99`."""
    if text[start].isdigit() and _MORE_DIGITS_BEFORE.search(text[max(0, start - _BEFORE) : start]):
        return False
    return not (text[end - 1].isdigit() and _MORE_DIGITS.match(text, end))


def _lowered(text: str) -> str:
    """Returns lower case of the same length: a character that would grow stays as it is."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := character.lower()) == 1 else character for character in text)
