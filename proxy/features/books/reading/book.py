"""A book that was read: its chapters, its metadata, and the text that was left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from speech_engine.redacted import Redacted

Rule = Literal[
    "address",
    "caption",
    "code",
    "contents",
    "cover",
    "formula",
    "front",
    "hidden",
    "index",
    "missing",
    "note",
    "note_mark",
    "not_in_order",
    "page_number",
    "picture",
    "ruby",
    "table",
    "title",
]
"""Why a part of a book is not read."""
Gap = Literal["chapter", "heading", "scene"]
"""What comes before a section: the beginning of a chapter, a heading, or a break between two scenes."""
MOST_CHARACTERS = 1_000_000
MOST_SECTIONS = 10_000
"""Each is a step of the job at least. A long book of poems has some 3,000."""
MOST_COVER_BYTES = 4 * 1024 * 1024
MOST_LEFT_OUT = 500
"""The most entries about left out text: one for each rule in each document."""
_SAMPLE_CHARACTERS = 60


class ReadRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which parts of a book are read."""

    notes: Annotated[
        Literal["skip", "after", "end"],
        Meta(description="skip, after (behind the paragraph), or end (of the chapter)"),
    ] = "skip"
    tables: Annotated[Literal["rows", "skip"], Meta(description="rows or skip")] = "rows"
    captions: Annotated[bool, Meta(description="true or false: whether captions of pictures are read")] = True
    front: Annotated[bool, Meta(description="true or false: whether title pages and imprints are read")] = (
        False
    )
    titles: Annotated[bool, Meta(description="true or false: whether titles of chapters are read")] = True
    depth: Annotated[int, Meta(ge=1, le=3, description="an integer from 1 to 3: levels of the contents")] = 2


class UnusableBook(Exception):
    """Raised for a file that is no book, or a protected one. Its text says why."""

    def __init__(self, why: str, *, is_protected: bool = False) -> None:
        super().__init__(why)
        self.is_protected = is_protected


class BookSection(Redacted, msgspec.Struct, frozen=True):
    """Paragraphs that are spoken without a longer pause. An empty line stands between two."""

    gap: Gap
    text: str


class BookChapter(Redacted, msgspec.Struct, frozen=True):
    title: str
    sections: tuple[BookSection, ...]


class LeftOutText(Redacted, msgspec.Struct, frozen=True):
    """What a rule left out of a document: how often, how many characters, and the first words."""

    where: str
    rule: Rule
    times: int
    characters: int
    sample: str


class AboutBook(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """The metadata of a book."""

    title: str = ""
    authors: tuple[str, ...] = ()
    language: str = ""
    year: str = ""
    series: str = ""


class Book(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A book that was read."""

    about: AboutBook
    chapters: tuple[BookChapter, ...]
    left_out: tuple[LeftOutText, ...] = ()


class BookReading:
    """What is collected while a book is read."""

    def __init__(self, rules: ReadRules, language: str = "") -> None:
        self.rules = rules
        self.language = language
        self._left_out: dict[tuple[str, Rule], LeftOutText] = {}
        self._characters = 0

    @property
    def left_out(self) -> tuple[LeftOutText, ...]:
        return tuple(self._left_out.values())

    def leave_out(self, where: str, rule: Rule, text: str) -> None:
        lines = (" ".join(line.split()) for line in text[:10_000].splitlines())
        text = "\n".join(filter(None, lines))
        known = self._left_out.get((where, rule))
        if known is None and len(self._left_out) >= MOST_LEFT_OUT:
            return
        known = known or LeftOutText(where[:200], rule, 0, 0, text[:_SAMPLE_CHARACTERS])
        self._left_out[where, rule] = LeftOutText(
            known.where,
            rule,
            known.times + 1,
            known.characters + len(text),
            known.sample or text[:_SAMPLE_CHARACTERS],
        )

    def count_text(self, text: str) -> None:
        """Count text that is read. Raises UnusableBook if it is too long."""
        self._characters += len(text)
        if self._characters > MOST_CHARACTERS:
            raise UnusableBook(f"it has more than {MOST_CHARACTERS:,} characters")


class ChapterText:
    """A chapter that grows paragraph by paragraph."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.notes: list[str] = []
        self._sections: list[tuple[Gap, list[str]]] = []
        # What comes before the next paragraph, or None if it belongs to the same section.
        self._gap: Gap | None = "chapter"

    @property
    def has_text(self) -> bool:
        return bool(self._sections)

    def add_paragraph(self, text: str) -> None:
        if self._gap is not None:
            self._sections.append((self._gap, []))
            self._gap = None
        self._sections[-1][1].append(text)

    def add_heading(self, text: str) -> None:
        """Add a heading as a section of its own. The text after it is another section."""
        if self._gap is None:
            self._gap = "heading"
        self.add_paragraph(text)
        self._gap = "heading"

    def add_break(self) -> None:
        if self._gap != "chapter":
            self._gap = "scene"

    def build(self) -> Iterator[BookChapter]:
        """Yield the chapter, unless it has no text."""
        if self.notes:
            self.add_break()
            for note in self.notes:
                self.add_paragraph(note)
        sections = tuple(BookSection(gap, "\n\n".join(texts)) for gap, texts in self._sections)
        if sections:
            yield BookChapter(self.title, sections)


def build_chapters(texts: Sequence[ChapterText]) -> tuple[BookChapter, ...]:
    """Return the chapters of a book. Raises UnusableBook."""
    chapters = tuple(made for each in texts for made in each.build())
    if not chapters:
        raise UnusableBook("it has no text")
    if sum(len(each.sections) for each in chapters) > MOST_SECTIONS:
        raise UnusableBook(f"its headings and breaks make more than {MOST_SECTIONS:,} sections")
    return chapters
