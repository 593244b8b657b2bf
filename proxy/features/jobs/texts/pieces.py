"""Cuts a long text into pieces that are spoken one by one: after paragraphs if possible, or else after
sentences."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from policies import text_tags
from proxy.features.jobs.section import JobSection
from proxy.text_rules.marks import CODE_BLANK
from speech_engine.text import cleaning
from speech_engine.text.dialogue import dialogue_ends

MOST_CHARACTERS = JobSection().step_characters
"""The default size of a piece. It is not larger because a piece occupies an engine's slot, for which a
listener may wait."""
MOST_TURNS = 128
"""The most turns of speakers in a piece."""

_MOST_SPEAKERS = 100
_LEAST_PART = 4
"""In the first quarter of a window, no cut is made if there is a place for one after it."""
_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
_LINE = re.compile(r"\n\s*")
_BLANK = re.compile(r"\s+")
_SPEAKER = re.compile(r"^\[([^\[\]\n]{1,64})\]", re.MULTILINE)
_MOST_PAUSE_CHARACTERS = 200
"""A piece may be longer by so many characters of tags for pauses."""
_MOST_TAG_CHARACTERS = text_tags.MOST_NAME_CHARACTERS + 2


def speaker_tags(text: str) -> list[str]:
    """Return the tags at the beginnings of lines, each once. They may be names of speakers."""
    found = dict[str, None]()
    for match in _SPEAKER.finditer(text):
        name = match[1].strip()
        if name not in found and not any(text_tags.find_pauses(match[0])):
            found[name] = None
            if len(found) == _MOST_SPEAKERS:
                break
    return [*found]


class Saying(NamedTuple):
    """The speaker and the emotion at a place of a text. A piece that begins there does not have their
    tags."""

    name: str = ""
    emotion: str = ""


class Turns:
    """The turns of a text, between tags that name a speaker or an emotion. A text without a cast is one
    turn."""

    def __init__(self, text: str, names: Sequence[str]) -> None:
        self._turns = text_tags.find_turns(text, names) if names or "[" in text else ()
        self._begins = [turn.start for turn in self._turns]
        # A turn starts after its name. A cut must come before the name, so `starts` has the starts of the
        # names.
        named = [(turn.name_start, turn.start) for turn in self._turns if turn.name_start is not None]
        self.starts = [start for start, _ in named]
        self._name_ends = [end for _, end in named]

    def saying_at(self, place: int) -> Saying:
        """Return the speaker and the emotion at a place. The speaker's voice may be unable to express the
        emotion."""
        number = bisect_right(self._begins, place) - 1
        if number < 0 or place >= self._turns[number].end:
            return Saying()
        turn = self._turns[number]
        tags = bisect_right(turn.tags, place, key=lambda tag: tag.end)
        # Text before the first name belongs to the first member.
        return Saying("" if turn.name_start is None else turn.name, turn.tags[tags - 1].value if tags else "")

    def have_speech(self, text: str, start: int, end: int) -> bool:
        """Tell whether something is to be spoken between two places, beside names of speakers."""
        places = [(start, end)]
        if self.starts:
            first, last = bisect_right(self._begins, start) - 1, bisect_left(self._begins, end)
            turns = self._turns[max(0, first) : last]
            places = [(max(start, turn.start), min(end, turn.end)) for turn in turns]
        return any(cleaning.is_speech(text_tags.without_tags(text[a:b])) for a, b in places)

    def within(self, start: int, end: int) -> list[int]:
        return self.starts[bisect_right(self.starts, start) : bisect_left(self.starts, end)]

    def name_at(self, place: int) -> int:
        """Return the start of the name that is open at a place, or -1."""
        number = bisect_left(self.starts, place) - 1
        return self.starts[number] if number >= 0 and place < self._name_ends[number] else -1

    def limit(self, start: int, end: int) -> int:
        """Return the latest end, up to `end`, of a piece that begins at `start` and has at most MOST_TURNS
        turns."""
        turn = bisect_right(self.starts, start) + MOST_TURNS
        return min(end, self.starts[turn]) if turn < len(self.starts) else end


def pieces(
    text: str, language: str, names: Sequence[str] = (), most: int = MOST_CHARACTERS
) -> list[tuple[int, int]]:
    """Cut a text into pieces. Return the start and the end of each, in order. Text between them has nothing
    to speak. No piece begins or ends within what CODE_BLANK stands for."""
    return list(_pieces(text, language, Turns(text, names), most))


def _pieces(text: str, language: str, turns: Turns, most: int) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(text):
        end = turns.limit(start, min(len(text), start + most))
        if end < len(text):
            end = start + _cut(text[start:end], language, start, turns)
            # A pause belongs to the piece before it.
            for pause in text_tags.find_pauses(text, end, end + _MOST_PAUSE_CHARACTERS):
                if cleaning.is_speech(text[end : pause.start]):
                    break
                end = pause.end
        if turns.have_speech(text, start, end):
            piece = text[start:end].rstrip(CODE_BLANK)
            yield start + len(piece) - len(piece.lstrip(CODE_BLANK)), start + len(piece)
        start = end


def _cut(window: str, language: str, start: int, turns: Turns) -> int:
    """Return where to cut a window, which begins at `start`. It is never 0."""

    def tag_at(end: int) -> int:
        return max(_tag_at(window, end), turns.name_at(start + end) - start)

    least = len(window) // _LEAST_PART
    ends = [each - start for each in turns.within(start, start + len(window))]
    ends += [match.end() for match in _PARAGRAPH.finditer(window)]
    finders: tuple[Callable[[], list[int]], ...] = (
        lambda: [match.end() for match in _LINE.finditer(window)],
        # The last sentence may go on after the window.
        lambda: dialogue_ends(window, language)[:-1],
        lambda: [match.end() for match in _BLANK.finditer(window)],
        lambda: [len(window)],
    )
    for find in finders:
        # The last one counts, so a window of a thousand short lines is not searched at each of them.
        usable = next((end for end in sorted(ends, reverse=True) if end >= least and tag_at(end) < 0), 0)
        if usable:
            return usable
        ends = find()
    tag = tag_at(len(window))
    return tag if tag > 0 else len(window)


def _tag_at(window: str, place: int) -> int:
    """Return the start of the tag that is open at a place, or -1. The tag may end after the window."""
    begin = window.rfind("[", max(0, place - _MOST_TAG_CHARACTERS), place)
    is_open = begin >= 0 and not any(end in window[begin:place] for end in "]\n")
    return begin if is_open else -1
