"""Turn the library's sound into events, without its highest peaks, up to the cap.

The events are chunks of at most 100 ms, and words in the job's time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

import msgspec

from plugins.espeak.levels import bend_peaks
from plugins.espeak.utterance import Utterance
from speech_engine import Audio, UnsupportedText, Word, Words

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


SAMPLE_RATE_HZ = 22050
BYTES_PER_SAMPLE = 2
CHUNK_BYTES = SAMPLE_RATE_HZ // 10 * BYTES_PER_SAMPLE

Put = Callable[[Audio | Words], bool]


class Rendering:
    """The events of one utterance. `put` gets them until it returns False or the cap is reached.

    Silence at the beginning is held back, so that a text that makes no sound can be refused.
    """

    def __init__(self, utterance: Utterance, put: Put) -> None:
        self._utterance = utterance
        self._to_reader = put
        self._pending: list[Audio | Words] | None = [] if utterance.has_speech else None
        self._segment = -1
        self._samples = 0
        self._times = WordTimes("", 0)

    def take(self, segment: int, pcm: bytes, marks: Sequence[Mark]) -> bool:
        """Take some audio of a segment and its marks. Return False if no more is needed."""
        if segment != self._segment:
            self._segment = segment
            self._times = WordTimes(self._utterance.texts[segment], self._samples)
        return self._words(marks) and self._audio(pcm) and self._left() != 0

    def end(self) -> None:
        """Raise UnsupportedText if the text has words, and all was silent."""
        if self._pending is not None:
            raise UnsupportedText("Invalid 'input': this language has no way to read any of it.")

    def _put(self, event: Audio | Words) -> bool:
        if self._pending is None:
            return self._to_reader(event)
        self._pending.append(event)
        if isinstance(event, Words) or not any(event.pcm):
            return True
        pending, self._pending = self._pending, None
        return all(self._to_reader(each) for each in pending)

    def _left(self) -> int | None:
        cap = self._utterance.max_samples
        return None if cap is None else max(0, cap - self._samples)

    def _words(self, marks: Sequence[Mark]) -> bool:
        """Put the words of these marks. Return False if the reader wants no more."""
        cap = self._utterance.max_samples
        words = tuple(word for word in self._times.words(marks) if cap is None or word.sample_offset < cap)
        return self._put(Words(words, self._segment)) if words else True

    def _audio(self, pcm: bytes) -> bool:
        if (left := self._left()) is not None:
            pcm = pcm[: left * BYTES_PER_SAMPLE]
        pcm = bend_peaks(pcm)
        self._samples += len(pcm) // BYTES_PER_SAMPLE
        return all(
            self._put(Audio(self._segment, pcm[start : start + CHUNK_BYTES]))
            for start in range(0, len(pcm), CHUNK_BYTES)
        )
