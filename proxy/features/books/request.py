"""The request of a book: that of a job of speech, whose text is in a file."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from proxy.errors import InvalidRequest
from proxy.features.books.book_reader import FILE
from proxy.features.books.reading.book import AboutBook, Book, Gap, ReadRules
from proxy.features.jobs.core.fields import ENCODED, M4B
from proxy.features.jobs.core.previews import LeftOut
from proxy.features.jobs.core.uploads import FileId
from proxy.features.jobs.kinds.speech.request import FileLayout, JobBody, JobFields, parse_job
from proxy.features.jobs.texts.chapters import MOST_CHAPTERS, MOST_TITLE
from proxy.speech import speech_request
from proxy.speech.planning import MOST_JOB_PAUSES_S
from proxy.speech.speech_request import Defaults
from proxy.speech.split_text import check_pauses
from speech_engine.redacted import Redacted
from speech_engine.text import cleaning

_PAUSE = "seconds from 0 to 10"
_BOOK_FIELDS = ("input_file_id", "read", "pauses", "kind")
_PARAGRAPH_BREAK = "\n\n"


class Pauses(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The seconds of silence in an audiobook before a paragraph, a scene and a chapter."""

    paragraph: Annotated[float, Meta(ge=0, le=10, description=_PAUSE)] = 0.8
    scene: Annotated[float, Meta(ge=0, le=10, description=_PAUSE)] = 1.5
    chapter: Annotated[float, Meta(ge=0, le=10, description=_PAUSE)] = 2.0

    def seconds_before(self, gap: Gap) -> float:
        return {"chapter": self.chapter, "heading": self.paragraph, "scene": self.scene}[gap]


class BookBody(JobBody, frozen=True, kw_only=True):
    """The body of POST /v1/jobs for a book: that of speech, and an uploaded file in place of the text."""

    kind: Annotated[Literal["book"], Meta(description="book")]  # type: ignore[assignment]
    input_file_id: FileId
    read: Annotated[ReadRules, Meta(description="an object: what of the book is read")] = ReadRules()
    pauses: Annotated[Pauses, Meta(description="an object: seconds of silence")] = Pauses()
    response_format: Annotated[
        str,
        Meta(description=f"one of {', '.join(ENCODED)}", extra_json_schema={"enum": [*ENCODED]}),
    ] = M4B


class BookFacts(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """What a job stores about its book."""

    file: str
    name: str
    about: AboutBook


class BookRequest(Redacted, msgspec.Struct, frozen=True):
    """A request whose file is not read yet: its body, and the fields as they were sent."""

    body: BookBody
    sent: dict[str, msgspec.Raw]


def parse_book(raw: bytes, defaults: Defaults) -> BookRequest:
    """Parse a body. Raises InvalidRequest with the wrong field."""
    body = speech_request.parse(BookBody, raw, defaults)
    for field, is_sent in (("input", bool(body.input)), ("chapters", body.chapters is not None)):
        if is_sent:
            raise InvalidRequest(f"'{field}' is not for a book: its text is in '{FILE}'.", param=field)
    if body.response_format.lower() not in ENCODED:
        raise InvalidRequest(
            f"Invalid value for 'response_format': of a book it must be one of {', '.join(ENCODED)}.",
            param="response_format",
        )
    return BookRequest(body, speech_request.raw_fields(raw, 0))


def book_fields(request: BookRequest, book: Book, name: str, defaults: Defaults) -> JobFields:
    """Return the fields of a job for a book that was read. Raises InvalidRequest."""
    body, chapters, gaps, position = request.body, list[dict[str, str]](), list[tuple[int, float]](), 0
    for chapter in book.chapters:
        sections = [each for each in chapter.sections if cleaning.is_speech(each.text)]
        begin = position
        for each in sections:
            gaps.append((position, body.pauses.seconds_before(each.gap)))
            position += len(each.text) + len(_PARAGRAPH_BREAK)
        if sections:
            text = "".join(each.text + _PARAGRAPH_BREAK for each in sections)
            chapters.append({"title": chapter.title[:MOST_TITLE], "input": text})
            assert position - begin == len(text)
    if not 0 < len(chapters) <= MOST_CHAPTERS:
        raise InvalidRequest(
            f"Invalid '{FILE}': it has {len(chapters)} chapters, and a job has 1 to {MOST_CHAPTERS}. "
            "A smaller 'read.depth' makes fewer.",
            param=FILE,
            code="unusable_book",
        )
    title = body.title or book.about.title or name.rpartition(".")[0] or name
    facts = BookFacts(file=body.input_file_id, name=name, about=replace(book.about, title=title))
    sent = {key: value for key, value in request.sent.items() if key not in _BOOK_FIELDS}
    fields = {**sent, "kind": "speech", "chapters": chapters, "title": title[:MOST_TITLE]}
    fields["response_format"] = body.response_format
    if body.emotion_tags != "text":
        check_pauses("".join(each["input"] for each in chapters), MOST_JOB_PAUSES_S, FILE)
    job_fields = parse_job(msgspec.json.encode(fields), defaults)
    return replace(
        job_fields,
        layout=FileLayout(
            gaps=tuple(gaps),
            paragraph_s=body.pauses.paragraph,
            left_out=tuple(
                LeftOut(where=each.where, rule=each.rule, characters=each.characters, sample=each.sample)
                for each in book.left_out
            ),
            holds={**job_fields.layout.holds, body.input_file_id: FILE},
            own=msgspec.Raw(msgspec.json.encode(facts)),
        ),
    )
