"""The words that a part should have, as both texts are compared, and their places in the user's text."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from proxy.speech.part_check import WrongWords
from proxy.speech_steps.word_times import WordPositions
from speech_engine import Segment
from speech_engine.events import Word
from speech_engine.text.comparing import WordRun
from speech_engine.text.said import words_of

_TAG = re.compile(r"\[[^\W\d_][^\[\]\d]{0,39}\]")
"""A tag such as [laughs], which models of providers follow and do not read."""
_WORD = re.compile(r"\S+")

Prepare = Callable[[str], tuple[Segment, ...]]


class WantedWord(NamedTuple):
    """A word between blanks, and its place in the text that was sent."""

    text: str
    start: int
    end: int

    def __repr__(self) -> str:
        return f"<WantedWord {self.start}-{self.end}>"


class WantedText:
    """The words of a part. `tokens` is the number of all tokens of `text`, as texts are compared."""

    def __init__(self, words: Sequence[WantedWord]) -> None:
        self.words = words
        self.text = " ".join([word.text for word in words])
        counts = [len(words_of(word.text).tokens) for word in words]
        # The number of the first token of each word, and behind them the sum of the tokens of all words.
        self._first_tokens = list(accumulate(counts, initial=0))
        self.tokens = len(words_of(self.text).tokens)

    def __repr__(self) -> str:
        return f"<WantedText of {len(self.words)} words>"

    @property
    def marks(self) -> int:
        """The marks at which a voice may pause, but for the last one."""
        return sum(not word.text[-1:].isalnum() for word in self.words[:-1])

    def wrong_words(self, run: WordRun) -> WrongWords:
        """Return the words of a run by their place. Words too many are before the word that follows them."""
        transcribed = " ".join(run.transcribed)
        if self._first_tokens[-1] != self.tokens:
            # Two words were joined when they were read, so that the number of a token tells no place.
            return WrongWords(self.words[0].start, self.words[-1].end, " ".join(run.wanted), transcribed)
        first = min(bisect_right(self._first_tokens, run.at) - 1, len(self.words) - 1)
        if not run.wanted:
            is_behind = run.at >= self.tokens
            place = self.words[first].end if is_behind else self.words[first].start
            return WrongWords(place, place, "", transcribed)
        last = bisect_right(self._first_tokens, run.at + len(run.wanted) - 1) - 1
        words = self.words[first : last + 1]
        return WrongWords(words[0].start, words[-1].end, " ".join([each.text for each in words]), transcribed)


def wanted_text(places: WordPositions, prepare: Prepare | None, *, has_tags: bool) -> WantedText:
    """Return the words of segments. `prepare` is the language's front-end if another one made the segments.

    Raises EngineError.
    """
    words: list[WantedWord] = []
    for number, segment in enumerate(places.segments):
        spoken = _TAG.sub(lambda tag: " " * len(tag[0]), segment.spoken) if has_tags else segment.spoken
        if spoken.strip():
            read = () if prepare is None else prepare(spoken)
            inner = WordPositions(spoken, read or (Segment(spoken, 0, len(spoken)),))
            words += [
                WantedWord(word, *places.locate(number, place, 0.0).place)
                for word, place in _words_and_places(inner)
            ]
    return WantedText(words)


def _words_and_places(places: WordPositions) -> Iterator[tuple[str, Word]]:
    """Yield words between blanks, and their places in the text."""
    for number, segment in enumerate(places.segments):
        for match in _WORD.finditer(segment.spoken):
            own = places.locate(number, Word(0, *match.span()), 0.0)
            yield match[0], Word(0, *own.place)
