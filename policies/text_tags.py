"""Tags in a text, which are not spoken: `[Ana] [happy] Olá! [Ben] Hi.`

A name of the cast changes the speaker until the next name. At the beginning of a line it may also be written
as in scripts: `ANA: Olá!`. An emotion counts until the next emotion or the end of the speaker's turn.
`[pause 0.5s]` is silence. Other words in brackets are part of the text: some providers read tags of their
own.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from heapq import merge
from typing import Literal, NamedTuple

from speech_engine.text import cleaning

MOST_NAMES = 16
MOST_NAME_CHARACTERS = 64
"""The most characters of a name."""
_MOST_NAME_WORDS = 3

_UNUSABLE = re.compile(r"[\[\]\x00-\x1f\x7f]")


def name_key(name: str) -> str:
    """Return the form in which names are compared: `[ANA]` is also Ana."""
    return unicodedata.normalize("NFC", " ".join(name.split())).casefold()


def cast_fault(names: Sequence[str]) -> str | None:
    """Return what is wrong with these names as a cast, or None."""
    if not 1 <= len(names) <= MOST_NAMES:
        return f"it must have 1 to {MOST_NAMES} names; it has {len(names)}"
    for name in names:
        if not name_key(name) or len(name) > MOST_NAME_CHARACTERS or _UNUSABLE.search(name):
            most = f"1 to {MOST_NAME_CHARACTERS} characters"
            return f"a name must have {most}, and no brackets or control characters"
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
_LINE = re.compile(
    # Each repetition is limited, so that no text takes long. Marks of Markdown may be around the name.
    r"^[ \t\ufeff*_#>-]{0,8}+([^\s\[\]][^\[\]\n]{0,63}?)[ \t*_]{0,4}(?::[*_]{0,3}(?!\S)|\uff1a[*_]{0,3})",
    re.MULTILINE,
)
"""The name that begins a line. Behind its colon is a blank or the end of the line; the wide colon of Chinese
and Japanese needs none."""
_EMOTIONS = frozenset(EMOTIONS)
_PAUSE = re.compile(
    # As with emotions, `[pause 1s](address)` is a link.
    r"\[pause(?:[ \t]+|:[ \t]*)([0-9]+(?:\.[0-9]+)?)[ \t]*(m?s)\](?!\()",
    re.ASCII | re.IGNORECASE,
)
MOST_PAUSE_S = 10.0


class Tag(NamedTuple):
    """A tag from `start` to `end` of the text. `value` is the name as the cast has it, or the emotion."""

    kind: Literal["name", "emotion"]
    value: str
    start: int
    end: int


class Pause(NamedTuple):
    """A tag from `start` to `end` of the text that requests silence."""

    start: int
    end: int
    seconds: float


class Turn(NamedTuple):
    """The text of one speaker, from `start` to `end`. `tags` are its emotions. If the text names the
    speaker, the name begins at `name_start`, before `start`. A text without a cast is one turn."""

    name: str
    start: int
    end: int
    tags: tuple[Tag, ...] = ()
    name_start: int | None = None


class Passage(NamedTuple):
    """The text between two tags of a turn. `emotion` is the last tag, None if there is none."""

    start: int
    end: int
    emotion: str | None = None


def find_turns(
    text: str, names: Iterable[str] = (), start: int = 0, end: int = sys.maxsize
) -> tuple[Turn, ...]:
    """Return the turns of a text, or of a part of it, in order, without those that have nothing to speak.
    Before the first name, the first member of the cast speaks."""
    cast = {name_key(name): name for name in names}
    found = list[Turn]()
    name, name_start, turn_tags = next(iter(cast.values()), ""), None, list[Tag]()
    for tag in _names_and_emotions(text, cast, start, end):
        if tag.kind == "name":
            found.append(Turn(name, start, tag.start, tuple(turn_tags), name_start))
            name, name_start, start, turn_tags = tag.value, tag.start, tag.end, []
        else:
            turn_tags.append(tag)
    found.append(Turn(name, start, min(end, len(text)), tuple(turn_tags), name_start))
    return tuple([turn for turn in found if cleaning.is_speech(text[turn.start : turn.end])])


def unused_names(text: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a cast that the text never has as a tag."""
    used = {
        tag.value
        for tag in _names_and_emotions(text, {name_key(name): name for name in names})
        if tag.kind == "name"
    }
    return tuple([name for name in names if name not in used])


def likely_names(text: str, names: Iterable[str] = ()) -> tuple[str, ...]:
    """Return what looks like a speaker's name but is not in the cast, the most frequent first: up to three
    words before a colon that begin two lines or more. They would be read aloud."""
    cast = {name_key(name) for name in names}
    shown, count = dict[str, str](), Counter[str]()
    for found in _LINE.finditer(text):
        name = " ".join(found[1].split())
        if (
            (key := name_key(name)) not in cast
            and name.count(" ") < _MOST_NAME_WORDS
            and any(map(str.isalpha, name))
        ):
            shown.setdefault(key, name)
            count[key] += 1
    return tuple([shown[key] for key, times in count.most_common(MOST_NAMES) if times > 1])


def first_emotion(text: str, start: int = 0, end: int = sys.maxsize) -> Tag | None:
    """Return the first tag of an emotion in a text, or in a part of it."""
    return next(_names_and_emotions(text, {}, start, end), None) if "[" in text else None


def find_emotion_tags(text: str, start: int = 0, end: int = sys.maxsize) -> Iterator[Tag]:
    """Yield all tags of emotions in a text, or in a part of it."""
    return _names_and_emotions(text, {}, start, end)


def split_turn(text: str, turn: Turn, emotions: Collection[str]) -> tuple[Passage, ...]:
    """Split a turn at the tags that a voice with these emotions can express, and return the passages that
    have something to say. Every voice can express `[neutral]`."""
    found, start, emotion = list[Passage](), turn.start, None
    for tag in turn.tags:
        if tag.value in emotions or tag.value == NEUTRAL:
            found.append(Passage(start, tag.start, emotion))
            start, emotion = tag.end, tag.value
    found.append(Passage(start, turn.end, emotion))
    return tuple([each for each in found if cleaning.is_speech(text[each.start : each.end])])


def find_pauses(text: str, start: int = 0, end: int = sys.maxsize) -> Iterator[Pause]:
    """Yield the pauses of a text, or of a part of it: `[pause 0.5s]`, `[pause 500ms]`, `[pause:0.5s]`."""
    for found in _PAUSE.finditer(text, start, end):
        yield Pause(*found.span(), float(found[1]) / (1000 if len(found[2]) > 1 else 1))


def excessive_pause(text: str, most_s: float) -> Pause | None:
    """Return the first pause that is too long, or with which all pauses are longer than `most_s`."""
    total_s = 0.0
    for pause in find_pauses(text):
        total_s += pause.seconds
        if pause.seconds > MOST_PAUSE_S or total_s > most_s:
            return pause
    return None


def find_tags(text: str) -> Iterator[Tag | Pause]:
    """Yield the emotions and pauses of a text, in order."""
    return merge(find_emotion_tags(text), find_pauses(text), key=lambda tag: tag.start)


def without_tags(text: str) -> str:
    """Return the text with blanks in place of its emotions and pauses, so that all places stay the same."""
    pieces, end = list[str](), 0
    for tag in find_tags(text) if "[" in text else ():
        pieces += [text[end : tag.start], " " * (tag.end - tag.start)]
        end = tag.end
    return "".join([*pieces, text[end:]])


def _names_and_emotions(
    text: str, cast: dict[str, str], start: int = 0, end: int = sys.maxsize
) -> Iterator[Tag]:
    in_brackets = _TAG.finditer(text, start, end)
    # A name has no brackets, so no two tags overlap.
    in_lines = _LINE.finditer(text, start, end) if cast else iter(())
    for found in merge(in_brackets, in_lines, key=re.Match.start):
        words = name_key(found[1])
        if (name := cast.get(words)) is not None:
            yield Tag("name", name, *found.span())
        elif found.re is _TAG and words in _EMOTIONS and not text.startswith("(", found.end()):
            # In Markdown, `[happy](address)` is a link, and its text is read.
            yield Tag("emotion", words, *found.span())
