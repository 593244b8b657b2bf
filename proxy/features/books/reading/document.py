"""A document of an EPUB: its paragraphs, headings and breaks, without what a narrator would not read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import islice
from typing import Literal, NamedTuple

from proxy.features.books.reading.book import BookReading, Rule
from proxy.features.books.reading.xml import Element, attribute, children, id_of, local, text_of

Kind = Literal["paragraph", "heading", "break", "anchor", "note"]


class Item(NamedTuple):
    """A part of a document. Of an anchor the text is its id, of a note where the note stands."""

    kind: Kind
    text: str


HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_BLOCKS = HEADINGS | {
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "center",
    "dd",
    "details",
    "dialog",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "header",
    "hgroup",
    "li",
    "main",
    "ol",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "ul",
}
_SILENT: dict[str, Rule] = {
    **dict.fromkeys(("script", "style", "template", "head"), "hidden"),
    **dict.fromkeys(("svg", "img", "image", "video", "audio", "object", "iframe", "canvas"), "picture"),
    **dict.fromkeys(("rt", "rp"), "ruby"),
    "nav": "contents",
}
_VOID = {"br", "hr", "img"}
"""Elements that are empty. One that was not closed has what follows it."""
_NOTE_KINDS = frozenset({"footnote", "endnote", "rearnote", "footnotes", "endnotes", "rearnotes"})
_MARK_KINDS = frozenset({"noteref", "biblioref"})
_PAGE_CLASSES = frozenset({"pagenum", "pageno", "page-number", "pagebreak"})
_MARK = re.compile(r"[\[(]?(?:\d{1,4}|[A-Za-z]|[ivxlcIVXLC]{1,8}|[*†‡§¶‖]{1,4})[\])]?\.?")
_MOST_MARK = 12
_MOST_PARTS = 20
_HIDDEN_STYLE = re.compile(r"display\s{0,9}:\s{0,9}none", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:https?://|www\.|mailto:)\S{1,2000}|\S{1,200}@\S{1,200}", re.IGNORECASE)
_TWO_ENDS = re.compile(r"([.!?:;])\. ")
_INVISIBLE = dict.fromkeys((0xAD, 0x200B, 0xFEFF), None)


def kinds_of(element: Element) -> set[str]:
    """Return the words that an EPUB or a reader for the blind has for an element."""
    roles = [role.removeprefix("doc-") for role in attribute(element, "role").lower().split()]
    return {*attribute(element, "type").lower().split(), *roles}


def document_kinds(body: Element) -> set[str]:
    """Return the words for a whole document: those of its body, and of the only child of that."""
    elements = [each for each in body if local(each)]
    return kinds_of(body) | (kinds_of(elements[0]) if len(elements) == 1 else set())


def is_mark(element: Element) -> bool:
    """Tell whether an element is the mark of a note."""
    if kinds_of(element) & _MARK_KINDS:
        return True
    if local(element) not in {"a", "sup"}:
        return False
    return _MARK.fullmatch(beginning(element)) is not None and "#" in link_of(element)


def beginning(element: Element) -> str:
    """Return the first characters of an element's text."""
    text = ""
    for part in islice(element.itertext(), _MOST_PARTS):
        text += str(part)[: _MOST_MARK * 2]
        if len(text) > _MOST_MARK * 2:
            break
    return text.strip()[: _MOST_MARK + 1]


def is_page_number(element: Element) -> bool:
    classes = {*attribute(element, "class").lower().split()}
    return "pagebreak" in kinds_of(element) or bool(_PAGE_CLASSES & classes)


def link_of(element: Element) -> str:
    """Return the link of an element, or of the first one in it."""
    # The first few elements, as marks may be nested in marks without end.
    links = (attribute(each, "href") for each in islice(element.iter(), _MOST_PARTS) if local(each) == "a")
    return attribute(element, "href") or next((link for link in links if link), "")


def block_of(element: Element) -> Element:
    """Return the block in which an element stands, which may be the element itself."""
    found: Element | None = element
    while found is not None and local(found) not in _BLOCKS - {"body"}:
        found = found.getparent()
    return element if found is None else found


class DocumentReader:
    """Reads one document. `notes` are the elements of its notes."""

    def __init__(self, reading: BookReading, where: str, notes: frozenset[Element]) -> None:
        self._reading = reading
        self._where = where
        self._notes = notes
        self._words: list[str] = []
        self._heading = 0
        self._marks: list[str] = []

    def items(self, element: Element) -> Iterator[Item]:
        """Yield what an element has, and what follows a mark in it at the end of its paragraph."""
        name = local(element)
        if not name:
            return
        yield from self._anchor(element)
        if (rule := self._rule(element, name)) is not None:
            self._reading.leave_out(self._where, rule, "" if name in _VOID else text_of(element))
        elif name == "br":
            self._words.append(". " if self._heading else " ")
        elif name == "hr":
            yield from self._flushed()
            yield Item("break", "")
        elif name == "math":
            self._words.append(f" {attribute(element, 'alttext')} ")
        elif name == "tr":
            yield from self._row(element)
        elif name in _BLOCKS:
            yield from self._block(element, is_heading=name in HEADINGS)
        else:
            yield from self._inside(element)
        if name in _VOID:
            yield from self._inside(element)

    def _block(self, element: Element, *, is_heading: bool) -> Iterator[Item]:
        yield from self._flushed()
        self._heading += is_heading
        yield from self._inside(element)
        yield from self._flushed()
        self._heading -= is_heading

    def _inside(self, element: Element) -> Iterator[Item]:
        self._words.append(str(element.text or ""))
        for each in element:
            yield from self.items(each)
            self._words.append(str(each.tail or ""))

    def _row(self, row: Element) -> Iterator[Item]:
        yield from self._flushed()
        cells = list[str]()
        for cell in children(row, "td", "th"):
            yield from self._anchor(cell)
            for item in self._block(cell, is_heading=False):
                if item.kind in {"anchor", "note"}:
                    yield item
                elif item.text:
                    cells.append(item.text)
        if cells:
            yield Item("paragraph", ", ".join(cells))

    def _anchor(self, element: Element) -> Iterator[Item]:
        """Yield the id of an element. What stands before it in the same paragraph stays before it."""
        if id_ := id_of(element):
            if local(element) in _BLOCKS:
                yield from self._flushed()
            yield Item("anchor", id_)

    def _rule(self, element: Element, name: str) -> Rule | None:
        """Return the rule that leaves an element out, if there is one."""
        rules, kinds = self._reading.rules, kinds_of(element)
        if name in _SILENT:
            return _SILENT[name]
        if element in self._notes or kinds & _NOTE_KINDS:
            return "note"
        if is_mark(element):
            self._marks.append(link_of(element))
            return "note_mark"
        if is_page_number(element):
            return "page_number"
        if (
            element.get("hidden") is not None
            or attribute(element, "aria-hidden").lower() == "true"
            or _HIDDEN_STYLE.search(attribute(element, "style")) is not None
        ):
            return "hidden"
        if name == "math" and not attribute(element, "alttext").strip():
            return "formula"
        if name == "table" and rules.tables == "skip":
            return "table"
        if name in {"caption", "figcaption"} and not rules.captions:
            return "caption"
        if name == "a" and _ADDRESS.fullmatch(text_of(element)):
            return "address"
        return None

    def _flushed(self) -> Iterator[Item]:
        text = _plain("".join(self._words))
        self._words.clear()
        if any(each.isalnum() for each in text):
            # A line of a heading may have its own full stop.
            yield Item("heading", _TWO_ENDS.sub(r"\1 ", text)) if self._heading else Item("paragraph", text)
        elif text:
            yield Item("break", "")
        for link in self._marks:
            yield Item("note", link)
        self._marks.clear()


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text.translate(_INVISIBLE)).split())
