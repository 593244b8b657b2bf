"""The times of words that no engine gives: the words of a sentence share its time by their length."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import accumulate

from proxy.speech.word_times import SpokenWord, WordPlaces
from speech_engine import Segment

# No blank tells where a word of Chinese or Japanese ends, so each character is one. Dashes part words.
_IDEOGRAPHS = r"\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TOKEN = re.compile(rf"[{_IDEOGRAPHS}]|[^\s\u2012-\u2015\u2026{_IDEOGRAPHS}]+")

_Range = tuple[int, int]


class InterpolatedWords:
    """The words of those sentences that are over, each with a time within its own.

    `moments` grows: it has the number of each sentence that began, with its moment in the answer, and at last
    the number after all of them with the end. The words only grow as well: one with a time stays. A
    sentence with words but without a moment of its own, as of an engine that speaks several in one go, ends
    them. Each sentence is computed once, when it is needed.
    """

    def __init__(self, places: WordPlaces, moments: Sequence[tuple[int, float]]) -> None:
        self._places = places
        self._moments = moments
        self._seen = 0
        self._found: list[SpokenWord] = []
        self._is_whole = True

    def so_far(self) -> Sequence[SpokenWord] | None:
        """Return the words that have a time by now, or None if none of them will ever have one."""
        while self._seen < len(self._moments):
            following, until_s = self._moments[self._seen]
            number, since_s = self._moments[self._seen - 1] if self._seen else (-1, 0.0)
            self._seen += 1
            self._is_whole = self._is_whole and not any(map(self._has_words, range(number + 1, following)))
            if self._is_whole and 0 <= number < len(self._places.segments):
                self._found += interpolate(self._places, number, since_s, until_s)
        return self._found if self._found or self._is_whole else None

    def _has_words(self, number: int) -> bool:
        segments = self._places.segments
        return number < len(segments) and any(find_words(self._places.text, segments[number]))


def interpolate(places: WordPlaces, number: int, since_s: float, until_s: float) -> list[SpokenWord]:
    """Give every word of a sentence with a letter or a digit a time between two moments of the answer."""
    text, segment = places.text, places.segments[number]
    words = list(find_words(text, segment))
    lengths = _lengths(text, words, segment)
    a_letter_s = (until_s - since_s) / (sum(lengths) or 1.0)
    befores = accumulate(lengths, initial=0.0)
    return [
        SpokenWord(round(min(until_s, since_s + a_letter_s * before), 3), *places.as_sent(start, end), True)
        for (start, end), before in zip(words, befores, strict=False)
    ]


def find_words(text: str, segment: Segment) -> Iterator[_Range]:
    """Yield the places of the words: what has a letter or a digit, without the punctuation around it."""
    for token in _TOKEN.finditer(text, segment.source_start, segment.source_end):
        start, end = token.span()
        if not any(map(str.isalnum, token[0])):
            continue
        while unicodedata.category(text[start])[0] == "P":
            start += 1
        while unicodedata.category(text[end - 1])[0] == "P":
            end -= 1
        yield start, end


def _lengths(text: str, words: list[_Range], segment: Segment) -> list[float]:
    """Count the letters of each word as it is spoken: `12` is as long as `twelve`.

    What was rewritten is in order, as the words are, so one walk through both is enough.
    """
    rewritten = segment.rewritten
    # How many letters are spoken for each character that was rewritten.
    rates = [
        letters(segment.spoken[one.spoken_start : one.spoken_end]) / max(1, one.source_end - one.source_start)
        for one in rewritten
    ]
    lengths: list[float] = []
    at = 0
    for start, end in words:
        length = 0.0
        while at < len(rewritten) and rewritten[at].source_start < end:
            one = rewritten[at]
            first, last = max(start, one.source_start), min(end, one.source_end)
            if first < last:
                length += letters(text[start:first]) + rates[at] * (last - first)
                start = last
            # One that reaches further belongs to the next word as well.
            if one.source_end > end:
                break
            at += 1
        lengths.append(length + letters(text[start:end]))
    return lengths


def letters(text: str) -> int:
    return sum(map(str.isalnum, text))
