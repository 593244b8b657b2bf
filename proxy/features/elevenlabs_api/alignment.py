"""When each character of a text is heard, as ElevenLabs' clients read it: the time of a word is shared out
over its letters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec

from proxy.speech.spoken_word import SpokenWord
from speech_engine.redacted import Redacted


class WordSpan(NamedTuple):
    """The place of a word in the text, and its times in the sound."""

    start: int
    end: int
    start_ms: float
    end_ms: float


class CharacterTimes(NamedTuple):
    """Characters, each with its start, and the end of the last one."""

    characters: str
    starts_ms: Sequence[float]
    end_ms: float

    def joined(self, later: CharacterTimes) -> CharacterTimes:
        """Return these characters and those that follow them."""
        starts_ms = [*self.starts_ms, *later.starts_ms]
        return CharacterTimes(self.characters + later.characters, starts_ms, later.end_ms)

    @property
    def ends_ms(self) -> list[float]:
        return [*self.starts_ms[1:], self.end_ms][: len(self.characters)]


class LetterTimes:
    """Times the characters of one text, in its order, each once. The text may grow."""

    def __init__(self) -> None:
        self._timed_to = 0
        self.end_ms = 0.0
        """The end of the last character that was timed."""

    def time_words(self, text: str, words: Iterable[WordSpan]) -> CharacterTimes:
        """Return the characters up to the last of these words, with the marks and the blank behind it: some
        clients end a word at its blank."""
        begin, starts_ms = self._timed_to, list[float]()
        for word in words:
            if word.end <= self._timed_to:
                continue
            start, end = max(word.start, self._timed_to), _with_marks(text, word.end)
            start_ms = max(word.start_ms, self.end_ms)
            starts_ms += _spread_evenly(self.end_ms, start_ms, start - self._timed_to)
            end_ms = max(word.end_ms, start_ms)
            starts_ms += _spread_evenly(start_ms, end_ms, end - start)
            self._timed_to, self.end_ms = end, end_ms
        return CharacterTimes(text[begin : self._timed_to], starts_ms, self.end_ms)

    def time_rest(self, text: str, end_ms: float) -> CharacterTimes:
        """Return all other characters; the sound ends at `end_ms`."""
        begin, since_ms = self._timed_to, self.end_ms
        self._timed_to, self.end_ms = len(text), max(end_ms, since_ms)
        return CharacterTimes(
            text[begin:], _spread_evenly(since_ms, self.end_ms, len(text) - begin), self.end_ms
        )


def word_spans(words: Sequence[SpokenWord], end_s: float) -> list[WordSpan]:
    """Return words that end where the next one begins, the last one at `end_s`."""
    ends_s = [*(word.start_seconds for word in words[1:]), end_s]
    return [
        WordSpan(*word.place, word.start_seconds * 1000, end_s * 1000)
        # Without words there is an end all the same: an engine may read out signs alone.
        for word, end_s in zip(words, ends_s, strict=False)
    ]


def _with_marks(text: str, end: int) -> int:
    """Return the end of a word with the marks behind it and one blank."""
    while end < len(text) and not text[end].isalnum() and not text[end].isspace():
        end += 1
    return end + text[end : end + 1].isspace()


def _spread_evenly(since_ms: float, until_ms: float, count: int) -> list[float]:
    return [since_ms + (until_ms - since_ms) * number / count for number in range(count)]


class CharacterAlignment(Redacted, msgspec.Struct, frozen=True):
    """The characters of an answer over HTTP."""

    characters: list[str]
    character_start_times_seconds: list[float]
    character_end_times_seconds: list[float]


class ChunkAlignment(Redacted, msgspec.Struct, frozen=True, rename="camel"):
    """The characters of a message of a socket."""

    chars: list[str]
    char_start_times_ms: list[int]
    char_durations_ms: list[int]


def alignment_of(timed: CharacterTimes) -> CharacterAlignment | None:
    """Return None without characters: there is nothing to tell of this piece."""
    if not timed.characters:
        return None
    return CharacterAlignment(
        [*timed.characters],
        [round(each / 1000, 3) for each in timed.starts_ms],
        [round(each / 1000, 3) for each in timed.ends_ms],
    )


def chunk_alignment(timed: CharacterTimes, since_ms: float = 0.0) -> ChunkAlignment | None:
    """Return the times since a moment of the sound, or None without characters."""
    if not timed.characters:
        return None
    starts = [round(max(0.0, each - since_ms)) for each in (*timed.starts_ms, timed.end_ms)]
    durations = [after - before for before, after in pairwise(starts)]
    return ChunkAlignment([*timed.characters], starts[:-1], durations)
