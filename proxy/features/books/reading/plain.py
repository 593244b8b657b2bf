"""A book as Markdown or plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from markdown_it import MarkdownIt
from markdown_it.token import Token

from proxy.features.books.reading.book import (
    AboutBook,
    Book,
    BookReading,
    ChapterText,
    ReadRules,
    UnusableBook,
    build_chapters,
)

_TITLE = re.compile(r"#\s{1,9}(.{1,200})")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_NOTE = re.compile(r"^ {0,3}\[\^([^\]\s]{1,99})\]:(.*(?:\n(?! {0,3}\[\^)[^\S\n]*\S.*)*)", re.MULTILINE)
_NOTE_MARK = re.compile(r"\[\^([^\]\s]{1,99})\]")
_WHERE = "the text"
_MOST_LINES = 50_000
"""In Markdown, where a heading or an item on each takes two seconds of processor."""


def read_markdown(data: bytes, rules: ReadRules) -> Book:
    """Read Markdown. A heading down to the level of the rules begins a chapter. Raises UnusableBook."""
    parser, text = MarkdownIt("commonmark").enable("table"), _decode_text(data)
    if sum(map(bool, map(str.strip, text.splitlines()))) > _MOST_LINES:
        raise UnusableBook(f"it has more than {_MOST_LINES:,} lines")
    note_tokens = {each[1]: parser.parseInline(each[2])[0] for each in _NOTE.finditer(text)}
    reader = _TextReader(
        rules, {name: " ".join(_inline_text(each).split()) for name, each in note_tokens.items()}
    )
    tokens = parser.parse(_NOTE.sub("", text))
    cells = list[str]()
    for number, token in enumerate(tokens):
        inline = tokens[number + 1] if token.type.endswith("_open") and number + 1 < len(tokens) else None
        text = _inline_text(inline) if inline is not None and inline.type == "inline" else ""
        if token.type == "heading_open":
            reader.add_heading(text, int(token.tag[1:]))
        elif token.type == "paragraph_open":
            reader.add_paragraph(text)
        elif token.type == "hr":
            reader.add_break()
        elif token.type in {"td_open", "th_open"}:
            cells.append(text)
        elif token.type == "tr_close":
            reader.add_row(", ".join(filter(None, cells)))
            cells.clear()
        elif token.type in {"fence", "code_block"}:
            reader.reading.leave_out(_WHERE, "code", token.content)
        elif token.type == "html_block":
            reader.reading.leave_out(_WHERE, "hidden", token.content)
    return reader.book()


def read_text(data: bytes, rules: ReadRules) -> Book:
    """Read plain text. A line `# Title` begins a chapter. Raises UnusableBook."""
    reader = _TextReader(rules)
    for block in _BLANK_LINE.split(_decode_text(data)):
        lines = list[str]()
        for line in block.splitlines():
            if (title := _TITLE.fullmatch(line.strip())) is None:
                lines.append(line.strip())
                continue
            reader.add_paragraph(" ".join(lines))
            lines.clear()
            reader.add_heading(title.group(1).strip(), 1)
        reader.add_paragraph(" ".join(lines))
    return reader.book()


class _TextReader:
    """Collects chapters. `notes` are those of Markdown, by the names in their marks."""

    def __init__(self, rules: ReadRules, notes: Mapping[str, str] | None = None) -> None:
        self.reading = BookReading(rules)
        self._chapters = [ChapterText("")]
        self._notes = notes or {}
        self._used_notes = set[str]()

    def add_heading(self, text: str, level: int) -> None:
        text, names = self._without_marks(text)
        if level <= self.reading.rules.depth:
            self._chapters.append(ChapterText(text))
            if not self.reading.rules.titles:
                self.reading.leave_out(_WHERE, "title", text)
                return
        if text:
            self.reading.count_text(text)
            self._chapters[-1].add_heading(text)
        self._add_notes(names)

    def add_paragraph(self, text: str) -> None:
        text, names = self._without_marks(" ".join(text.split()))
        if any(each.isalnum() for each in text):
            self.reading.count_text(text)
            self._chapters[-1].add_paragraph(text)
        elif text:
            self.add_break()
        self._add_notes(names)

    def add_row(self, text: str) -> None:
        if self.reading.rules.tables == "rows":
            self.add_paragraph(text)
        else:
            self.reading.leave_out(_WHERE, "table", text)

    def add_break(self) -> None:
        self._chapters[-1].add_break()

    def _without_marks(self, text: str) -> tuple[str, list[str]]:
        """Return a text without the marks of its notes, and their names."""
        names = list[str]()

        def without(mark: re.Match[str]) -> str:
            if mark[1] not in self._notes:
                return mark[0]
            self.reading.leave_out(_WHERE, "note_mark", mark[0])
            names.append(mark[1])
            return ""

        return _NOTE_MARK.sub(without, text), names

    def _add_notes(self, names: list[str]) -> None:
        rule, chapter = self.reading.rules.notes, self._chapters[-1]
        for name in names if rule != "skip" else ():
            self._used_notes.add(name)
            if text := self._notes[name]:
                self.reading.count_text(text)
                if rule == "after":
                    chapter.add_paragraph(text)
                else:
                    chapter.notes.append(text)

    def book(self) -> Book:
        for name, text in self._notes.items():
            if name not in self._used_notes:
                self.reading.leave_out(_WHERE, "note", text)
        chapters = build_chapters(self._chapters)
        return Book(about=AboutBook(), chapters=chapters, left_out=self.reading.left_out)


def _inline_text(token: Token) -> str:
    """Return the text of a line of Markdown: no pictures, and of a link its text."""
    return "".join(_inline_parts(token))


def _inline_parts(token: Token) -> Iterator[str]:
    for each in token.children or ():
        if each.type in {"text", "code_inline"}:
            yield each.content
        elif each.type in {"softbreak", "hardbreak"}:
            yield " "


def _decode_text(data: bytes) -> str:
    """Return a text in UTF-8, or in UTF-16 with its mark. Raises UnusableBook."""
    if data.startswith(b"%PDF"):
        raise UnusableBook("it is a PDF: save it as an EPUB, as Markdown or as text")
    try:
        text = data.decode("utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig")
    except UnicodeDecodeError:
        raise UnusableBook("it is no EPUB, and no text in UTF-8") from None
    if "\0" in text:
        raise UnusableBook("it is no EPUB, and no text")
    return text.replace("\r\n", "\n").replace("\r", "\n")
