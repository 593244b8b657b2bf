"""Finds the words of a lexicon in a text: the longest first, and only whole words."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

from speech_engine.text import cleaning

# Written without spaces between words, so that a word may begin or end anywhere: Thai, Lao, Burmese, Khmer,
# Japanese, Chinese.
_UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    r"\U00020000-\U0002fa1f"
)
_LETTER = re.compile(rf"(?<![{_UNSPACED}])[^\W{_UNSPACED}]")
_MORE_DIGITS_BEFORE = re.compile(r"(?:[0-9][.,:/−–-]|[$€£¥₦฿₹] ?)$")
_MORE_DIGITS = re.compile(r"[.,:/−–-][0-9]")
_CHARACTERS_BEFORE = 2
_START = re.compile(rf"(?<![^\W{_UNSPACED}])\S|[{_UNSPACED}]")


class FoundWord(NamedTuple):
    """A place in a text, from `start` to before `end`, and its spoken form."""

    start: int
    end: int
    spoken: str


class WordFinder:
    """A lexicon, ready for searches. One large pattern would take longer to compile than to speak.

    A search takes the same time for each place of a text, however many words begin alike.
    """

    def __init__(self, lexicon: Mapping[str, str]) -> None:
        self._spoken = {cleaning.cleaned_text(word): spoken for word, spoken in lexicon.items()}
        self._spoken.pop("", None)
        self._words = sorted(self._spoken)
        self._nested = _nested_lengths(self._words)
        self._longest = max(map(len, self._words), default=0)
        self._beginnings = frozenset(_with_one_sigma(_lowered(word))[:2] for word in self._words)

    def __repr__(self) -> str:
        return f"<WordFinder {len(self._spoken)}>"

    def find(self, text: str, boundaries: Collection[int] | None = None) -> Iterator[FoundWord]:
        """Yields the words in a cleaned text, in order, without overlap. With `boundaries`, a word begins and
        ends at two of these places; without them, no letter stands beside a word."""
        lowered = _lowered(text)
        known, beginnings = self._beginnings, _with_one_sigma(lowered)
        ends = _Ends(text, boundaries)
        at = 0
        for start in self._starts(lowered, boundaries):
            if start < at or not (beginnings[start : start + 2] in known or beginnings[start] in known):
                continue
            for length in self._lengths(text, lowered, start):
                end = start + length
                if ends[end]:
                    yield FoundWord(start, end, self._spoken_as(text[start:end], lowered[start:end]))
                    at = end
                    break

    def replace_words(self, text: str) -> str:
        """Returns a cleaned text with each word replaced by its spoken form."""
        pieces, at = [], 0
        for found in self.find(text):
            pieces += [text[at : found.start], found.spoken]
            at = found.end
        return "".join((*pieces, text[at:]))

    def _lengths(self, text: str, lowered: str, start: int) -> Sequence[int]:
        """Returns the lengths of the words that begin here, the longest first."""
        if _is_within_number(text, start):
            return ()
        as_written = self._lengths_in(text, start)
        in_lower_case = self._lengths_in(lowered, start)
        if in_lower_case == as_written:
            return as_written[::-1]
        return sorted({*as_written, *in_lower_case}, reverse=True)

    def _lengths_in(self, text: str, start: int) -> Sequence[int]:
        """Returns the lengths of the words that stand here, the shortest first. Each of these begins the last
        word that does not come after this text in the order of words."""
        last = bisect_right(self._words, text[start : start + self._longest]) - 1
        if last < 0:
            return ()
        word, lengths = self._words[last], self._nested[last]
        return lengths[: bisect_left(lengths, True, key=lambda one: not text.startswith(word[:one], start))]

    def _starts(self, lowered: str, boundaries: Collection[int] | None) -> Iterable[int]:
        if boundaries is None:
            return (match.start() for match in _START.finditer(lowered))
        return (place for place in range(len(lowered)) if place in boundaries)

    def _spoken_as(self, word: str, lowered: str) -> str:
        known = word if word in self._spoken else lowered
        spoken = self._spoken[known]
        # A word whose entry is the word itself stays as it is written, with its capital letters.
        return word if spoken == known else spoken


class _Ends(dict[int, bool]):
    """Whether a word may end at a place of a text. Each place is looked up once."""

    def __init__(self, text: str, boundaries: Collection[int] | None) -> None:
        super().__init__()
        self._text = text
        self._boundaries = boundaries

    def __missing__(self, end: int) -> bool:
        goes_on = self._text[end - 1].isdigit() and _MORE_DIGITS.match(self._text, end)
        may_end = self[end] = not goes_on and _is_word_end(self._text, end, self._boundaries)
        return may_end


def _nested_lengths(words: Sequence[str]) -> list[tuple[int, ...]]:
    """Returns the lengths of those words that begin each word, itself included, the shortest first. The words
    are in order, so that a word stands behind those that begin it."""
    nested: list[tuple[int, ...]] = []
    around: list[str] = []
    for word in words:
        while around and not word.startswith(around[-1]):
            around.pop()
        around.append(word)
        nested.append(tuple(map(len, around)))
    return nested


@lru_cache(maxsize=64)
def _finder_of(items: tuple[tuple[str, str], ...]) -> WordFinder:
    return WordFinder(dict(items))


class UnchangedWords(dict[str, str]):
    """A lexicon that nothing changes once it is made. Its finder is looked up once: the look-up reads all
    words, which takes longer than the search of a short paragraph."""

    @cached_property
    def finder(self) -> WordFinder:
        return _finder_of(tuple(self.items()))


def word_finder(lexicon: Mapping[str, str]) -> WordFinder:
    return lexicon.finder if isinstance(lexicon, UnchangedWords) else _finder_of(tuple(lexicon.items()))


def _is_word_end(text: str, end: int, boundaries: Collection[int] | None) -> bool:
    if boundaries is not None:
        return end in boundaries
    if end == len(text):
        return True
    # An accent or a vowel sign belongs to the letter before it.
    return not _LETTER.match(text, end) and unicodedata.category(text[end])[0] != "M"


def _is_within_number(text: str, start: int) -> bool:
    """Tell whether a part of a number or of an amount begins here: a brand `99` is not in `0,99`."""
    before = text[max(0, start - _CHARACTERS_BEFORE) : start]
    return text[start].isdigit() and _MORE_DIGITS_BEFORE.search(before) is not None


def _with_one_sigma(lowered: str) -> str:
    """Returns a text in which a final sigma is a usual one. The neighbours of a capital decide which one it
    becomes."""
    return lowered.replace("ς", "σ")


def _lowered(text: str) -> str:
    """Returns lower case of the same length: a character that would grow stays as it is."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := character.lower()) == 1 else character for character in text)
