"""A dialogue → who says what: `[Ana] Olá. [Ben] Hi.` with a cast of Ana and Ben."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from speech_engine.text import cleaning

MOST_NAMES = 16
MOST_CHARACTERS = 64
"""Of a name."""

_TAG = re.compile(r"\[([^\[\]\n]+)\]")
_UNUSABLE = re.compile(r"[\[\]\x00-\x1f\x7f]")


class Turn(NamedTuple):
    """What one of the cast says, from `start` to `end` of the text; its tag is not in it."""

    name: str
    start: int
    end: int


def key(name: str) -> str:
    """Names are alike that people would read alike: `[ANA]` is Ana's too."""
    return unicodedata.normalize("NFC", " ".join(name.split())).casefold()


def fault(names: Sequence[str]) -> str | None:
    """What is wrong with these names as a cast; None for a good one."""
    if not 1 <= len(names) <= MOST_NAMES:
        return f"it must have 1 to {MOST_NAMES} names; it has {len(names)}"
    for name in names:
        if not key(name) or len(name) > MOST_CHARACTERS or _UNUSABLE.search(name):
            return (
                f"a name must have 1 to {MOST_CHARACTERS} characters, and no brackets or control characters"
            )
    if len({key(name) for name in names}) < len(names):
        return "its names must differ by more than capital letters and blanks"
    return None


def turns(text: str, names: Iterable[str]) -> tuple[Turn, ...]:
    """The turns in their order. A tag holds until the next one of the cast; any other stays a part of the
    text. What stands before the first belongs to the first of the cast. A turn with nothing to say is left
    out, so that there may be none at all."""
    cast = {key(name): name for name in names}
    return tuple(turn for turn in _all(text, cast) if cleaning.is_speech(text[turn.start : turn.end]))


def _all(text: str, cast: dict[str, str]) -> Iterator[Turn]:
    name, start = next(iter(cast.values())), 0
    for tag in _TAG.finditer(text):
        if (called := cast.get(key(tag.group(1)))) is not None:
            yield Turn(name, start, tag.start())
            name, start = called, tag.end()
    yield Turn(name, start, len(text))
