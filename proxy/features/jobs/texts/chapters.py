"""The chapters of a job: texts with titles. They become one file, or one file each."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from proxy.errors import InvalidRequest
from proxy.features.jobs.core.fields import Chapter, Sayings, chapter_number_at
from proxy.features.jobs.texts.pieces import Saying, Turns, pieces
from proxy.speech import speech_request
from proxy.text_rules.marks import without_code

MOST_CHAPTERS = 500
MOST_TITLE = 200
"""The most characters of a title."""


class ChapterFields(msgspec.Struct, frozen=True, kw_only=True):
    """A chapter as it is sent. Without a title, the second one is called "Chapter 2"."""

    title: Annotated[
        str, Meta(max_length=MOST_TITLE, description=f"a text of up to {MOST_TITLE} characters")
    ] = ""
    input: Annotated[str, Meta(min_length=1, description="a text")]

    def __repr__(self) -> str:
        return f"<ChapterFields of {len(self.input)} characters>"


ITEMS: dict[str, Any] = {"minItems": 1, "items": msgspec.json.schema(ChapterFields)["$defs"]["ChapterFields"]}
"""The chapters of a request, for the OpenAPI document: their faults are named one by one."""


def read_chapters(bodies: Sequence[dict[str, Any]]) -> tuple[str, tuple[Chapter, ...]]:
    """Return the whole text, and its chapters. Raises InvalidRequest, which names the wrong field."""
    texts, chapters, start = list[str](), list[Chapter](), 0
    for index, each in enumerate(bodies):
        try:
            chapter = speech_request.read(ChapterFields, each)
        except InvalidRequest as fault:
            field = chapter_field(index, fault.param or "")
            message = fault.message.replace(f"'{fault.param}'", f"'{field}'")
            raise InvalidRequest(message, param=field, code=fault.code) from None
        if not chapter.input.strip():
            raise nothing_to_say(index)
        texts.append(chapter.input)
        end = start + len(chapter.input)
        title = chapter.title.strip() or f"Chapter {index + 1}"
        chapters.append(Chapter(title=title, start=start, end=end))
        start = end
    return "".join(texts), tuple(chapters)


def cut_text(
    text: str,
    chapters: Sequence[Chapter],
    language: str,
    names: Sequence[str],
    most: int,
    chosen: Collection[int] = (),
    borders: Sequence[int] = (),
    *,
    skips_code: bool = False,
) -> tuple[list[tuple[int, int]], tuple[Chapter, ...]]:
    """Cut a text into pieces of up to `most` characters. Return the start and the end of each piece, and the
    chapters with the numbers of their steps. Each piece lies within one chapter, and crosses none of the
    `borders`, which are in order. If some chapters are `chosen`, the others have no steps. With `skips_code`,
    no piece begins or ends within a block of code, unless a chapter is code alone. Raises InvalidRequest."""
    found, numbered = list[tuple[int, int]](), list[Chapter]()
    for index, chapter in enumerate(chapters or (Chapter(title="", start=0, end=len(text)),)):
        if chosen and index + 1 not in chosen:
            numbered.append(chapter)
            continue
        within = borders[bisect_right(borders, chapter.start) : bisect_left(borders, chapter.end)]
        own, whole = list[tuple[int, int]](), text[chapter.start : chapter.end]
        for shown in (without_code(whole), whole) if skips_code else (whole,):
            own = own or [
                (begin + start, begin + end)
                for begin, last in pairwise((chapter.start, *within, chapter.end))
                for start, end in pieces(
                    shown[begin - chapter.start : last - chapter.start], language, names, most
                )
            ]
        if not own:
            raise nothing_to_say(index if chapters else None)
        numbered.append(replace(chapter, first=len(found) + 1, last=len(found) + len(own)))
        found += own
    return found, tuple(numbered if chapters else ())


def find_sayings(
    text: str, chapters: Sequence[Chapter], names: Sequence[str], pieces: Sequence[tuple[int, int]]
) -> Sayings:
    """Return the speaker and the emotion that go on at the beginnings of pieces, as in `StepFields`. They
    begin anew with each chapter."""
    found, before, border = list[tuple[int, int, str]](), None, 0
    for number, (start, _) in enumerate(pieces, 1):
        if start >= border:
            index = chapter_number_at(chapters, start)
            begin, border = (chapters[index - 1].start, chapters[index - 1].end) if index else (0, len(text))
            turns = Turns(text[begin:border], names)
        saying = turns.saying_at(start - begin)
        if saying != before:
            found.append((number, names.index(saying.name) if saying.name else -1, saying.emotion))
            before = saying
    return tuple(found)


def saying_of(sayings: Sayings, names: Sequence[str], step: int) -> Saying:
    """Return the speaker and the emotion that go on at the beginning of a step."""
    _, speaker, emotion = sayings[bisect_right(sayings, step, key=itemgetter(0)) - 1]
    return Saying(names[speaker] if speaker >= 0 else "", emotion)


def nothing_to_say(index: int | None) -> InvalidRequest:
    """Return the refusal of a chapter that has nothing to speak, or of a text without chapters (None)."""
    field = "input" if index is None else chapter_field(index, "input")
    return InvalidRequest(f"Invalid '{field}': it must have something to say.", param=field)


def chapter_field(index: int, field: str) -> str:
    """Return the name of a chapter's field. The index of the first chapter is 0."""
    return f"chapters[{index}].{field}"
