"""The answer with times, which has one JSON object on each line, and the times of words in it.

They are made from the times of characters. The network may cut the lines at any byte. A line that cannot be
read is an error.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from plugins.elevenlabs.api import decoded
from speech_engine.cloud import Call
from speech_engine.errors import EngineFailed
from speech_engine.events import Word, Words
from speech_engine.http import MOST_BYTES
from speech_engine.values import Segment

_WORD = re.compile(r"\S+")
_LOOK_AHEAD = 16
"""The most characters that an alignment may skip at once. If it skips more, its text is another text."""


class Alignment(msgspec.Struct, frozen=True):
    characters: tuple[str, ...]
    character_start_times_seconds: tuple[float, ...]

    def __repr__(self) -> str:
        return f"<Alignment of {len(self.characters)} characters>"


class _PlacedWord(NamedTuple):
    """A word: its place `at` in the text of the call, and its `start` and `end` in the segment."""

    at: int
    segment: int
    start: int
    end: int


class WordTimes:
    """The words of one call. `begin` is the start of the call in the job's audio, in samples.

    A word goes out after the audio has reached it, so that no word lies past the end.
    """

    def __init__(self, call: Call, segments: tuple[Segment, ...], begin: int, sample_rate_hz: int) -> None:
        self._text = call.text
        self._begin = begin
        self._latest_sample = begin
        self._rate_hz = sample_rate_hz
        self._text_place = 0
        self._latest_s = 0.0
        self._untimed = deque(_words(call, segments))
        self._timed: deque[tuple[_PlacedWord, int]] = deque()

    def add_times(self, alignment: Alignment, samples: int) -> None:
        """Take the times of one line. `samples` is the audio before that line."""
        times = alignment.character_start_times_seconds
        # Times count from the start of the answer. If they step back, they count from their own line.
        offset_s = 0.0
        if times and times[0] < self._latest_s - 1e-6:
            offset_s = (samples - self._begin) / self._rate_hz
        for character, time_s in zip(alignment.characters, times, strict=False):
            self._add_character(character, time_s + offset_s)

    def take_due(self, samples: int, *, is_over: bool = False) -> list[Words]:
        """Return the words that the audio has reached. At the end, return all words with a time."""
        found: dict[int, list[Word]] = {}
        while self._timed and (is_over or self._timed[0][1] <= samples):
            word, sample = self._timed.popleft()
            found.setdefault(word.segment, []).append(Word(min(sample, samples), word.start, word.end))
        return [Words(tuple(words), segment) for segment, words in found.items()]

    def _add_character(self, character: str, time_s: float) -> None:
        place = self._text.find(character, self._text_place, self._text_place + len(character) + _LOOK_AHEAD)
        if place < 0 or not character:
            return
        self._text_place = place + len(character)
        self._latest_s = max(self._latest_s, time_s)
        while self._untimed and self._untimed[0].at < self._text_place:
            # Keep the words in order even if the times are not: the server takes no word before the last.
            self._latest_sample = max(self._latest_sample, self._begin + round(time_s * self._rate_hz))
            self._timed.append((self._untimed.popleft(), self._latest_sample))


def _words(call: Call, segments: tuple[Segment, ...]) -> Iterator[_PlacedWord]:
    """Yield the words of a call.

    From `call.segment` on, the call contains whole segments, with other text between them.
    """
    at = 0
    for number in range(call.segment, len(segments)):
        spoken = segments[number].spoken
        start = call.text.find(spoken, at)
        if start < 0:
            return
        at = start + len(spoken)
        for match in _WORD.finditer(spoken):
            yield _PlacedWord(start + match.start(), number, match.start(), match.end())


class Line(msgspec.Struct, frozen=True):
    """A line of the answer. If the answer ends in a refusal, the last line has `detail` and no audio."""

    audio_base64: bytes | None = None
    alignment: Alignment | None = None
    detail: Any = None

    def __repr__(self) -> str:
        return f"<Line of {len(self.audio_base64 or b'')} bytes>"


class LineReader:
    """A reader of one answer: takes its bytes, cut anywhere, and yields its lines."""

    def __init__(self) -> None:
        self._line = bytearray()

    def feed(self, piece: bytes) -> Iterator[Line]:
        """Yield the lines that this piece completes. Raises EngineFailed at an unreadable line."""
        first, *others = piece.split(b"\n")
        self._line += first
        if len(self._line) > MOST_BYTES:
            raise EngineFailed("ElevenLabs' answer has a line without an end.")
        if others:
            held, self._line = bytes(self._line), bytearray(others.pop())
            for line in (held, *others):
                if line.strip():
                    yield _read_line(line)

    def flush(self) -> Iterator[Line]:
        """Yield the last line if it has no end."""
        if self._line.strip():
            yield _read_line(bytes(self._line))


def _read_line(line: bytes) -> Line:
    found = decoded(Line, line)
    if found.audio_base64 is None and found.alignment is None and found.detail is None:
        raise EngineFailed("ElevenLabs' answer has a line that says nothing.")
    return found
