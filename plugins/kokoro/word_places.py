"""Finds where each word of a text begins among its sounds.

espeak-ng writes sounds in groups with blanks between them. Most groups are a word, but it joins words ("on
the") and parts others ("24"). The alignment with the least difference between letters and sounds tells which
group is which word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from speech_engine.text.sounds import CLAUSE_ENDS, Ends, WordPlace

# Dashes separate words even if there is no space. The signs of Hindi's vowels are no letters.
_WORD = re.compile(r"[^\W_](?:[^\s\u2012-\u2015\u2026]*[^\W_])?[\u0900-\u0957]*")
_GROUP = re.compile(r"\S*[^\W_]")
_STRESSES = "\u02c8\u02cc\u02d0"
_DIGIT = 4
"""The letters that a digit stands for."""
_SHAPES = (*((1, groups) for groups in range(1, 7)), (2, 1))
"""The words and the groups that may belong together."""
_UNEVEN, _OTHER_MARK = 2.0, 3.0
"""The costs, in sounds, of a step that is not one word with one group, and of a comma that only one has."""
_BAND = 16
"""How many groups an alignment may be away from the even one."""


class Phrase(NamedTuple):
    """The sounds of a part of a text, its words among them, and what ends with it."""

    sounds: list[str]
    words: tuple[WordPlace, ...]
    ends: Ends = "sentence"


class _Unit(NamedTuple):
    """A word or a group: its place, its letters or sounds, and whether a clause ends with it."""

    begin: int
    end: int
    size: int
    ends_clause: bool


class _Step(NamedTuple):
    """Some words and the groups that they are, by their numbers."""

    word: int
    words: int
    group: int
    groups: int


def word_places(text: str, sounds: Sequence[str]) -> tuple[WordPlace, ...]:
    """Return the words of a text, each with the sound that it begins with. There are none if they cannot be
    aligned."""
    words, groups = _units(text, _WORD), _units("".join(sounds), _GROUP)
    places = list[WordPlace]()
    for step in _steps(words, groups):
        begin, end = groups[step.group].begin, groups[step.group + step.groups - 1].end
        inside = words[step.word : step.word + step.words]
        letter = (end - begin) / sum(word.size for word in inside)
        befores = accumulate((word.size for word in inside), initial=0)
        places += (
            WordPlace(begin + letter * before, word.begin, word.end)
            for word, before in zip(inside, befores, strict=False)
        )
    return tuple(places)


def _units(text: str, pattern: re.Pattern[str]) -> list[_Unit]:
    found = [match.span() for match in pattern.finditer(text)]
    following = [*(begin for begin, _ in found), len(text)][1:]
    return [
        _Unit(begin, end, sum(map(_size, text[begin:end])), any(map(text[end:until].count, CLAUSE_ENDS)))
        for (begin, end), until in zip(found, following, strict=True)
    ]


def _size(letter: str) -> int:
    return _DIGIT if letter.isdigit() else letter.isalnum() and letter not in _STRESSES


def _steps(words: Sequence[_Unit], groups: Sequence[_Unit]) -> list[_Step]:
    """Return the alignment that costs least, or nothing if there is none."""
    letters, sounds = ([0, *accumulate(unit.size for unit in units)] for units in (words, groups))
    rate = sounds[-1] / (letters[-1] or 1)

    def cost(step: _Step) -> float:
        word, group = step.word + step.words, step.group + step.groups
        fewer = (letters[word] - letters[step.word]) * rate - (sounds[group] - sounds[step.group])
        has_other_mark = words[word - 1].ends_clause != groups[group - 1].ends_clause
        return abs(fewer) + _UNEVEN * (step.words != step.groups) + _OTHER_MARK * has_other_mark

    best: dict[tuple[int, int], tuple[float, _Step | None]] = {(0, 0): (0.0, None)}
    for word in range(len(words)):
        even = word * len(groups) // len(words)
        for group in range(max(0, even - _BAND), min(len(groups), even + _BAND)):
            if (before := best.get((word, group))) is None:
                continue
            for shape in _SHAPES:
                at = word + shape[0], group + shape[1]
                if at[0] <= len(words) and at[1] <= len(groups):
                    step = _Step(word, shape[0], group, shape[1])
                    total = before[0] + cost(step)
                    if at not in best or total < best[at][0]:
                        best[at] = total, step
    steps = list[_Step]()
    _, last = best.get((len(words), len(groups)), (0.0, None))
    while last is not None:
        steps.append(last)
        _, last = best[last.word, last.group]
    return steps[::-1]
