"""An EPUB 2 or 3: its documents in the order of the spine, as the chapters of its contents."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from policies.language import language_of_script
from proxy.features.books.reading import xml
from proxy.features.books.reading.archive import Archive, resolve_link
from proxy.features.books.reading.book import (
    Book,
    BookReading,
    ChapterText,
    ReadRules,
    Rule,
    UnusableBook,
    build_chapters,
)
from proxy.features.books.reading.document import DocumentReader, Item, block_of, document_kinds, lines_of
from proxy.features.books.reading.notes import Place, find_notes, note_text
from proxy.features.books.reading.package import ContentsEntry, Document, Package
from proxy.features.books.reading.xml import Element, descendants, ids_of

MOST_DOCUMENT_BYTES = 32 * 1024 * 1024
MOST_TAGS = 500_000
"""A long novel with a tag around each word has some 350,000."""
_SAMPLE_CHARACTERS = 50_000
_MOST_TITLE = 1_000
"""Entries of the contents that lead to the same place are one title."""
_NEVER_READ: dict[str, Rule] = {
    **dict.fromkeys(("toc", "lot", "loi", "landmarks", "page-list"), "contents"),
    **dict.fromkeys(("index", "bibliography"), "index"),
    **dict.fromkeys(("endnotes", "footnotes", "rearnotes", "notes"), "note"),
}
_FRONT_MATTER: dict[str, Rule] = {
    "cover": "cover",
    **dict.fromkeys(("titlepage", "title-page", "halftitlepage", "halftitle"), "front"),
    **dict.fromkeys(("copyright-page", "imprint", "colophon"), "front"),
}


def read_epub(file: BinaryIO, rules: ReadRules, language: str = "") -> Book:
    """Read an EPUB, which is spoken in this language, or else in that of its text. Raises UnusableBook."""
    archive = Archive(file)
    package = Package(archive)
    return _EpubReader(archive, package, BookReading(rules, language)).read()


def read_cover(file: BinaryIO) -> bytes:
    """Return the picture of an EPUB's cover, or nothing. Raises UnusableBook."""
    return Package(Archive(file)).cover()


class _EpubReader:
    def __init__(self, archive: Archive, package: Package, reading: BookReading) -> None:
        self._archive = archive
        self._package = package
        self._reading = reading
        self._contents = defaultdict[str, list[ContentsEntry]](list)
        self._unread: set[str] = set()
        self._notes: dict[Place, str] = {}
        self._chapters: list[ChapterText] = []

    def read(self) -> Book:
        documents = self._find_documents()
        roots = self._parse([*documents])
        self._reading.language = self._reading.language or self._language_of(*roots.values())
        notes = find_notes(roots)
        items_of = [(path, [*self._items(documents[path], roots[path], notes)]) for path in roots]
        entries = self._package.contents(self._reading.rules.depth)
        # A document that is left out begins no chapter.
        for each in _linked_entries([each for each in entries if each.path not in self._unread]):
            self._contents[each.path].append(each)
        for path, items in items_of:
            self._add_document(path, items)
        return Book(
            about=self._package.about(),
            chapters=build_chapters(self._chapters),
            left_out=self._reading.left_out,
        )

    def _find_documents(self) -> dict[str, Document]:
        """Return the documents by their paths, in their order. One that is named again is read once."""
        found = dict[str, Document]()
        for each in self._package.documents():
            if each.path not in self._archive:
                where = each.path or "a document without a place in the book"
                self._reading.leave_out(where, "missing", "")
            elif each.path not in found or (each.is_in_order and not found[each.path].is_in_order):
                found[each.path] = each
            else:
                self._reading.leave_out(each.path, "not_in_order", "")
        return found

    def _parse(self, paths: Sequence[str]) -> dict[str, Element | None]:
        """Return the roots of documents. All are in memory at once. Raises UnusableBook."""
        roots, size, tags = dict[str, Element | None](), 0, 0
        for path in paths:
            data = self._archive.read(path)
            size, tags = size + len(data), tags + data.count(b"<")
            if size > MOST_DOCUMENT_BYTES or tags > MOST_TAGS:
                most = f"{MOST_DOCUMENT_BYTES >> 20} MiB or {MOST_TAGS:,} tags"
                raise UnusableBook(f"its documents have more than {most} together")
            roots[path] = xml.parse(data, path)
        return roots

    def _language_of(self, *roots: Element | None) -> str:
        """Return the language of most letters. The metadata of many books name none, or a wrong one."""
        bodies = (each for root in roots if root is not None for each in descendants(root, "body")[:1])
        text = "".join("".join(each.itertext())[:_SAMPLE_CHARACTERS] for each in bodies)
        letters = Counter(map(language_of_script, filter(str.isalpha, text[:_SAMPLE_CHARACTERS])))
        return max(letters, key=letters.__getitem__, default=None) or self._package.about().language

    def _items(self, document: Document, root: Element | None, notes: set[Place]) -> Iterator[Item]:
        """Yield the parts of a document, and store its notes."""
        bodies = [] if root is None else descendants(root, "body")
        for body in bodies[:1]:
            own = {id_: each for id_, each in ids_of(body).items() if (document.path, id_) in notes}
            elements = frozenset(block_of(element) for element in own.values())
            texts = {element: note_text(element) for element in elements}
            for id_, element in own.items():
                self._notes[document.path, id_] = texts[block_of(element)]
            rule = self._unread_rule(document, document_kinds(body))
            if rule is not None:
                self._unread.add(document.path)
                self._reading.leave_out(document.path, rule, lines_of(body))
                continue
            yield from DocumentReader(self._reading, document.path, elements).items(body)

    def _unread_rule(self, document: Document, kinds: set[str]) -> Rule | None:
        kinds = kinds | document.kinds
        if document.path == self._package.contents_path:
            return "contents"
        if not document.is_in_order:
            return "not_in_order"
        found = next((_NEVER_READ[each] for each in sorted(kinds) if each in _NEVER_READ), None)
        if found is None and not self._reading.rules.front:
            found = next((_FRONT_MATTER[each] for each in sorted(kinds) if each in _FRONT_MATTER), None)
        return found

    def _add_document(self, path: str, items: list[Item]) -> None:
        """Add a document to the chapters, which begin where the contents say."""
        entries = self._contents.get(path, ())
        anchors = {item.text for item in items if item.kind == "anchor"}
        begins: dict[str, str] = {}
        for each in entries:
            fragment = each.fragment if each.fragment in anchors else ""
            title = f"{begins[fragment]}. {each.title}" if fragment in begins else each.title
            begins[fragment] = title[:_MOST_TITLE]
        if not self._contents:
            heading = next((item.text for item in items if item.kind == "heading"), "")
            begins = {"": heading} if any(item.kind in {"paragraph", "heading"} for item in items) else {}
        if "" in begins:
            self._begin_chapter(begins[""])
        for item in items:
            if item.kind == "anchor" and item.text and item.text in begins:
                self._begin_chapter(begins.pop(item.text))
            else:
                self._add_item(path, item)

    def _begin_chapter(self, title: str) -> None:
        self._chapters.append(ChapterText(title))

    def _add_item(self, path: str, item: Item) -> None:
        if item.kind == "anchor":
            return
        if not self._chapters:
            self._begin_chapter(item.text if item.kind == "heading" else "")
        chapter, rules = self._chapters[-1], self._reading.rules
        if item.kind == "break":
            chapter.add_break()
        elif item.kind == "note":
            text = self._notes.get(resolve_link(path, item.text), "")
            if text and rules.notes != "skip":
                self._reading.count_text(text)
                if rules.notes == "after":
                    chapter.add_paragraph(text)
                else:
                    chapter.notes.append(text)
        elif item.kind == "paragraph":
            self._add_title(chapter)
            self._reading.count_text(item.text)
            chapter.add_paragraph(item.text)
        elif rules.titles or chapter.has_text:
            self._reading.count_text(item.text)
            chapter.add_heading(item.text)
        else:
            self._reading.leave_out(path, "title", item.text)

    def _add_title(self, chapter: ChapterText) -> None:
        """Add the title to a chapter whose text begins without a heading."""
        if self._reading.rules.titles and chapter.title and not chapter.has_text:
            chapter.add_heading(chapter.title)


def _linked_entries(entries: list[ContentsEntry]) -> list[ContentsEntry]:
    """Return the entries with a link. The title of an entry without a link goes before the next title."""
    found, before = list[ContentsEntry](), list[str]()
    for each in entries:
        if not each.path:
            before.append(each.title)
            continue
        found.append(each._replace(title=". ".join([*before, each.title])))
        before.clear()
    return found
