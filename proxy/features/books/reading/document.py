"""A document of an EPUB: its paragraphs, headings and breaks, without what a narrator would not read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import islice
from typing import Literal, NamedTuple

from policies.language import base_tag, language_of_script
from proxy.features.books.reading.book import BookReading, Rule
from proxy.features.books.reading.xml import Element, attribute, children, id_of, local_name, text_of

Kind = Literal["paragraph", "heading", "break", "anchor", "note"]


class Item(NamedTuple):
    """A part of a document. The text of an anchor is its id, that of a note the link to it."""

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
_UNREAD_ELEMENTS: dict[str, Rule] = {
    **dict.fromkeys(("script", "style", "template", "head"), "hidden"),
    **dict.fromkeys(("svg", "img", "image", "video", "audio", "object", "iframe", "canvas"), "picture"),
    **dict.fromkeys(("rt", "rp"), "ruby"),
    "nav": "contents",
}
_CHINESE = frozenset({"cmn", "yue", "wuu", "nan", "hak", "lzh"})
_VOID = {"br", "hr", "img"}
"""Elements without content. If one is not closed, the parser puts what follows into it, so that is read,
too."""
_NOTE_KINDS = frozenset({"footnote", "endnote", "rearnote", "footnotes", "endnotes", "rearnotes"})
_MARK_KINDS = frozenset({"noteref", "biblioref"})
_PAGE_CLASSES = frozenset({"pagenum", "pageno", "page-number", "pagebreak"})
_MARK = re.compile(r"[\[(]?(?:\d{1,4}|[A-Za-z]|[ivxlcIVXLC]{1,8}|[*†‡§¶‖]{1,4})[\])]?\.?")
_MOST_MARK_CHARACTERS = 12
_MOST_PARTS, _MOST_RUBY_PARTS = 20, 40
_HIDDEN_STYLE = re.compile(r"display\s{0,9}:\s{0,9}none", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:https?://|www\.|mailto:)\S{1,2000}|\S{1,200}@\S{1,200}", re.IGNORECASE)
_BLANKS = re.compile(r"\s+")
_TWO_ENDS = re.compile(r"([.!?:;])\. ")
_INVISIBLE = dict.fromkeys((0xAD, 0x200B, 0xFEFF), None)


def kinds_of(element: Element) -> set[str]:
    """Return the kinds of an element: its `epub:type` and its roles for screen readers."""
    roles = [role.removeprefix("doc-") for role in attribute(element, "role").lower().split()]
    return {*attribute(element, "type").lower().split(), *roles}


def document_kinds(body: Element) -> set[str]:
    """Return the kinds of a document: those of its body, and of the only child of the body."""
    elements = [each for each in body if local_name(each)]
    return kinds_of(body) | (kinds_of(elements[0]) if len(elements) == 1 else set())


def is_mark(element: Element) -> bool:
    """Tell whether an element is the mark of a note."""
    if kinds_of(element) & _MARK_KINDS:
        return True
    if local_name(element) not in {"a", "sup"}:
        return False
    return _MARK.fullmatch(first_characters(element)) is not None and "#" in link_of(element)


def first_characters(element: Element) -> str:
    """Return the first characters of an element's text."""
    text = ""
    for part in islice(element.itertext(), _MOST_PARTS):
        text += str(part)[: _MOST_MARK_CHARACTERS * 2]
        if len(text) > _MOST_MARK_CHARACTERS * 2:
            break
    return text.strip()[: _MOST_MARK_CHARACTERS + 1]


def is_page_number(element: Element) -> bool:
    classes = {*attribute(element, "class").lower().split()}
    return "pagebreak" in kinds_of(element) or bool(_PAGE_CLASSES & classes)


def link_of(element: Element) -> str:
    """Return the link of an element, or of the first one in it."""
    # Only the first few elements, as marks may be nested in marks very deeply.
    links = (
        attribute(each, "href") for each in islice(element.iter(), _MOST_PARTS) if local_name(each) == "a"
    )
    return attribute(element, "href") or next((link for link in links if link), "")


def lines_of(element: Element) -> str:
    """Return the text of an element with a line for each of its blocks, and the `alt` of its pictures."""
    parts = list[str]()

    def collect(each: Element) -> None:
        edge = "\n" if local_name(each) in _BLOCKS | {"br"} else ""
        parts.extend((edge, attribute(each, "alt"), _BLANKS.sub(" ", each.text or "")))
        for inner in each:
            collect(inner)
            parts.append(_BLANKS.sub(" ", inner.tail or ""))
        parts.append(edge)

    collect(element)
    return "".join(parts)


def block_of(element: Element) -> Element:
    """Return the block in which an element stands, which may be the element itself."""
    found: Element | None = element
    while found is not None and local_name(found) not in _BLOCKS - {"body"}:
        found = found.getparent()
    return element if found is None else found


class DocumentReader:
    """Reads one document. `notes` are the elements of its notes."""

    def __init__(self, reading: BookReading, where: str, notes: frozenset[Element]) -> None:
        self._reading = reading
        self._where = where
        self._notes = notes
        self._words: list[str] = []
        self._heading_depth = 0
        self._mark_links: list[str] = []

    def items(self, element: Element) -> Iterator[Item]:
        """Yield the parts of an element. The note of a mark comes at the end of its paragraph."""
        name = local_name(element)
        if not name:
            return
        yield from self._read_anchor(element)
        if (rule := self._unread_rule(element, name)) is not None:
            alt = attribute(element, "alt")
            self._reading.leave_out(self._where, rule, alt if name in _VOID else lines_of(element))
        elif name == "ruby" and (ruby := self._spoken_ruby(element)):
            self._words.append(ruby)
        elif name == "br":
            self._words.append(". " if self._heading_depth else " ")
        elif name == "hr":
            yield from self._flush_paragraph()
            yield Item("break", "")
        elif name == "math":
            self._words.append(f" {attribute(element, 'alttext')} ")
        elif name == "tr":
            yield from self._read_row(element)
        elif name in _BLOCKS:
            yield from self._read_block(element, is_heading=name in HEADINGS)
        else:
            yield from self._read_children(element)
        if name in _VOID:
            yield from self._read_children(element)

    def _read_block(self, element: Element, *, is_heading: bool) -> Iterator[Item]:
        yield from self._flush_paragraph()
        self._heading_depth += is_heading
        yield from self._read_children(element)
        yield from self._flush_paragraph()
        self._heading_depth -= is_heading

    def _read_children(self, element: Element) -> Iterator[Item]:
        self._words.append(str(element.text or ""))
        for each in element:
            yield from self.items(each)
            self._words.append(str(each.tail or ""))

    def _read_row(self, row: Element) -> Iterator[Item]:
        yield from self._flush_paragraph()
        cells = list[str]()
        for cell in children(row, "td", "th"):
            yield from self._read_anchor(cell)
            for item in self._read_block(cell, is_heading=False):
                if item.kind in {"anchor", "note"}:
                    yield item
                elif item.text:
                    cells.append(item.text)
        if cells:
            yield Item("paragraph", ", ".join(cells))

    def _read_anchor(self, element: Element) -> Iterator[Item]:
        """Yield the id of an element. At a block, the paragraph before it ends first."""
        if id_ := id_of(element):
            if local_name(element) in _BLOCKS:
                yield from self._flush_paragraph()
            yield Item("anchor", id_)

    def _unread_rule(self, element: Element, name: str) -> Rule | None:
        """Return the rule that leaves an element out, if there is one."""
        rules, kinds = self._reading.rules, kinds_of(element)
        if name in _UNREAD_ELEMENTS:
            return _UNREAD_ELEMENTS[name]
        if element in self._notes or kinds & _NOTE_KINDS:
            return "note"
        if is_mark(element):
            self._mark_links.append(link_of(element))
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

    def _spoken_ruby(self, element: Element) -> str:
        """Return the ruby that is read in place of letters that the book's voice lacks, or ""."""
        # Only a few elements, as rubies may be nested in rubies very deeply.
        inner = [*islice(element.iter(), _MOST_RUBY_PARTS + 1)]
        ruby = "".join(text_of(each) for each in inner if local_name(each) == "rt")
        if not ruby or len(inner) > _MOST_RUBY_PARTS:
            return ""
        others = (each for each in element if local_name(each) not in {"rt", "rp", "rtc"})
        parts = [element.text, *map(text_of, others), *(each.tail for each in element)]
        base = "".join(filter(None, parts))
        if self._can_be_read(base) or not self._can_be_read(ruby):
            return ""
        self._reading.leave_out(self._where, "ruby", base)
        return ruby

    def _can_be_read(self, text: str) -> bool:
        """Tell whether all letters are of the language's script. Japanese voices lack many Han letters."""
        tag = base_tag(self._reading.language)
        own = {None, "zh" if tag in _CHINESE else tag}
        return all(language_of_script(letter) in own for letter in text)

    def _flush_paragraph(self) -> Iterator[Item]:
        text = _normalized("".join(self._words))
        self._words.clear()
        if any(each.isalnum() for each in text):
            if self._heading_depth:
                # A line of a heading may have its own full stop.
                yield Item("heading", _TWO_ENDS.sub(r"\1 ", text))
            else:
                yield Item("paragraph", text)
        elif text:
            yield Item("break", "")
        for link in self._mark_links:
            yield Item("note", link)
        self._mark_links.clear()


def _normalized(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text.translate(_INVISIBLE)).split())
