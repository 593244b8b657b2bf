"""The times that an engine tells, and those of the words that it left out.

An engine may speak two words in one go, as "in the", and tell only when the first of them begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

from proxy.speech.interpolated_words import find_words, letters
from proxy.speech.word_times import SpokenWord, WordPlaces

_Range = tuple[int, int]


class ToldWords:
    """The words of `given`, which grows, and between them all others with a letter or a digit.

    A word that was left out gets a time when the next one is given, or when the sound is whole: it shares the
    time between its neighbours with the one before, by their length. So the words only grow as well.
    """

    def __init__(self, places: WordPlaces, given: Sequence[SpokenWord]) -> None:
        self._text = places.text
        self._places = places
        self._given = given
        self._seen = 0
        self._written = _written(places)
        self._next = next(self._written, None)
        # When the last given word begins, and how long it is.
        self._since_s = 0.0
        self._letters = 0
        self._found: list[SpokenWord] = []

    def so_far(self, whole_s: float | None = None) -> Sequence[SpokenWord]:
        """Return the words that have a time by now. `whole_s` is the length of the sound once it is whole."""
        while self._seen < len(self._given):
            word = self._given[self._seen]
            self._seen += 1
            self._fill(list(self._before(word.source_start)), word.start_seconds)
            self._found.append(word)
            self._since_s, self._letters = word.start_seconds, 0
            while self._next is not None and self._place(self._next)[0] < word.source_end:
                self._letters += letters(self._text[slice(*self._next)])
                self._next = next(self._written, None)
        if whole_s is not None:
            self._fill(list(self._before(None)), whole_s)
        return self._found

    def _place(self, written: _Range) -> _Range:
        return self._places.as_sent(*written)

    def _before(self, until: int | None) -> Iterator[_Range]:
        """Yield the words up to a place in the user's text. They were left out."""
        while self._next is not None and (until is None or self._place(self._next)[1] <= until):
            yield self._next
            self._next = next(self._written, None)

    def _fill(self, words: list[_Range], until_s: float) -> None:
        lengths = [self._letters, *(letters(self._text[start:end]) for start, end in words)]
        a_letter_s = max(0.0, until_s - self._since_s) / sum(lengths) if words else 0.0
        for written, before in zip(words, accumulate(lengths), strict=False):
            seconds = round(self._since_s + a_letter_s * before, 3)
            self._found.append(SpokenWord(seconds, *self._place(written), True))


def _written(places: WordPlaces) -> Iterator[_Range]:
    for segment in places.segments:
        yield from find_words(places.text, segment)
