"""The turns of a dialogue: `[Ana] Olá. [Ben] Hi.` with a cast of Ana and Ben."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from speech_engine.text import cleaning

MOST_NAMES = 16
MOST_CHARACTERS = 64
"""The most characters of a name."""

_TAG = re.compile(r"\[([^\[\]\n]+)\]")
_UNUSABLE = re.compile(r"[\[\]\x00-\x1f\x7f]")


class Turn(NamedTuple):
    """What one member says, from `start` to `end` of the text, without the tag."""

    name: str
    start: int
    end: int


def key(name: str) -> str:
    """Return the form by which names are compared: `[ANA]` is Ana too."""
    return unicodedata.normalize("NFC", " ".join(name.split())).casefold()


def fault(names: Sequence[str]) -> str | None:
    """Return what is wrong with these names as a cast, or None."""
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
    """Return the turns in order, without those that have nothing to say.

    A tag of the cast holds until the next one. Any other tag is a part of the text. The text before the
    first tag belongs to the first member.
    """
    cast = {key(name): name for name in names}
    return tuple(turn for turn in _all(text, cast) if cleaning.is_speech(text[turn.start : turn.end]))


def _all(text: str, cast: dict[str, str]) -> Iterator[Turn]:
    name, start = next(iter(cast.values())), 0
    for tag in _TAG.finditer(text):
        if (member := cast.get(key(tag.group(1)))) is not None:
            yield Turn(name, start, tag.start())
            name, start = member, tag.end()
    yield Turn(name, start, len(text))
