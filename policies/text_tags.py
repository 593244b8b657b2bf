"""The tags of a text, which are not spoken: `[Ana] [happy] Olá! [Ben] Hi.`

A name of the cast changes the speaker until the next name. An emotion counts until the next emotion or the
end of the turn. Other words in brackets are part of the text: some providers read tags of their own.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from speech_engine.text import cleaning

MOST_NAMES = 16
MOST_CHARACTERS = 64
"""The most characters of a name."""

_UNUSABLE = re.compile(r"[\[\]\x00-\x1f\x7f]")


def name_key(name: str) -> str:
    """Return the form in which names are compared: `[ANA]` is also Ana."""
    return unicodedata.normalize("NFC", " ".join(name.split())).casefold()


def cast_fault(names: Sequence[str]) -> str | None:
    """Return what is wrong with these names as a cast, or None."""
    if not 1 <= len(names) <= MOST_NAMES:
        return f"it must have 1 to {MOST_NAMES} names; it has {len(names)}"
    for name in names:
        if not name_key(name) or len(name) > MOST_CHARACTERS or _UNUSABLE.search(name):
            return (
                f"a name must have 1 to {MOST_CHARACTERS} characters, and no brackets or control characters"
            )
    if len({name_key(name) for name in names}) < len(names):
        return "its names must differ by more than capital letters and blanks"
    return None


EmotionTags = Literal["drop", "refuse", "text"]
"""The treatment of tags that a voice cannot express. With `text`, all tags are read as text."""

NEUTRAL = "neutral"

EMOTIONS: tuple[str, ...] = (
    "neutral",
    "happy",
    "sad",
    "angry",
    "fearful",
    "disgusted",
    "surprised",
    "calm",
    "excited",
    "cheerful",
    "friendly",
    "serious",
    "tender",
    "hopeful",
    "worried",
    "tired",
    "bored",
    "proud",
    "amused",
    "whisper",
    "shout",
    "fluent",
)


_TAG = re.compile(r"\[([^\[\]\n]+)\]")
_EMOTIONS = frozenset(EMOTIONS)


class Tag(NamedTuple):
    """A tag from `start` to `end` of the text. `value` is the name as the cast has it, or the emotion."""

    kind: Literal["name", "emotion"]
    value: str
    start: int
    end: int


class Turn(NamedTuple):
    """The text of one speaker, from `start` to `end`, without the name. `tags` are the emotions in it. A text
    without a cast is one turn."""

    name: str
    start: int
    end: int
    tags: tuple[Tag, ...] = ()


class Passage(NamedTuple):
    """The text between two tags of a turn. `emotion` is the last tag, None if there is none."""

    start: int
    end: int
    emotion: str | None = None


def turns(text: str, names: Iterable[str] = ()) -> tuple[Turn, ...]:
    """Return the turns in order, without silent ones. The first member speaks before the first name."""
    cast = {name_key(name): name for name in names}
    found = list[Turn]()
    name, start, within = next(iter(cast.values()), ""), 0, list[Tag]()
    for tag in _tags(text, cast):
        if tag.kind == "name":
            found.append(Turn(name, start, tag.start, tuple(within)))
            name, start, within = tag.value, tag.end, []
        else:
            within.append(tag)
    found.append(Turn(name, start, len(text), tuple(within)))
    return tuple([turn for turn in found if cleaning.is_speech(text[turn.start : turn.end])])


def first_emotion(text: str, start: int = 0, end: int = sys.maxsize) -> Tag | None:
    """Return the first tag of an emotion in a text, or in a part of it."""
    return next(_tags(text, {}, start, end), None) if "[" in text else None


def emotions(text: str, start: int = 0, end: int = sys.maxsize) -> Iterator[Tag]:
    """Yield all tags of emotions in a text, or in a part of it."""
    return _tags(text, {}, start, end)


def passages(text: str, turn: Turn, emotions: Collection[str]) -> tuple[Passage, ...]:
    """Split a turn at the tags that a voice with these emotions can express, and return the passages that
    have something to say. Every voice can express `[neutral]`."""
    found, start, emotion = list[Passage](), turn.start, None
    for tag in turn.tags:
        if tag.value in emotions or tag.value == NEUTRAL:
            found.append(Passage(start, tag.start, emotion))
            start, emotion = tag.end, tag.value
    found.append(Passage(start, turn.end, emotion))
    return tuple([each for each in found if cleaning.is_speech(text[each.start : each.end])])


def without_emotions(text: str) -> str:
    """Return the text with its emotion tags replaced by blanks, so that places stay."""
    pieces, end = list[str](), 0
    for tag in _tags(text, {}) if "[" in text else ():
        pieces += [text[end : tag.start], " " * (tag.end - tag.start)]
        end = tag.end
    return "".join([*pieces, text[end:]])


def _tags(text: str, cast: dict[str, str], start: int = 0, end: int = sys.maxsize) -> Iterator[Tag]:
    for found in _TAG.finditer(text, start, end):
        words = name_key(found.group(1))
        if (name := cast.get(words)) is not None:
            yield Tag("name", name, *found.span())
        elif words in _EMOTIONS and not text.startswith("(", found.end()):
            # In Markdown, `[happy](address)` is a link, and its text is read.
            yield Tag("emotion", words, *found.span())
