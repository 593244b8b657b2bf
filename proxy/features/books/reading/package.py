"""The package of an EPUB: its metadata, its documents in their order, and its contents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from proxy.features.books.reading import xml
from proxy.features.books.reading.archive import Archive, resolve_link
from proxy.features.books.reading.book import MOST_COVER_BYTES, AboutBook, UnusableBook
from proxy.features.books.reading.xml import Element, attribute, children, descendants, local_name, text_of

_FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
"""The algorithms that obscure fonts. Any other encryption protects the book."""
_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_MOST_TEXT_CHARACTERS = 200
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


class Document(NamedTuple):
    """A document of the spine. `kinds` are its types in the guide. With `linear="no"` it is not in order."""

    path: str
    kinds: frozenset[str]
    is_in_order: bool


class ContentsEntry(NamedTuple):
    """A line of the contents. Without a link its path is ""."""

    title: str
    path: str
    fragment: str


class Package:
    """The package of an EPUB. Raises UnusableBook."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        _check_unprotected(archive)
        self._path, root = _find_package(archive)
        self._root = root
        self._manifest = {attribute(each, "id"): each for each in descendants(root, "item")}
        self.contents_path = ""

    def documents(self) -> Iterator[Document]:
        guide = defaultdict[str, set[str]](set)
        for each in descendants(self._root, "reference"):
            guide[resolve_link(self._path, attribute(each, "href"))[0]].add(attribute(each, "type").lower())
        for each in descendants(self._root, "itemref"):
            path = self._path_of(self._manifest.get(attribute(each, "idref")))
            yield Document(path, frozenset(guide.get(path, ())), attribute(each, "linear").lower() != "no")

    def contents(self, depth: int) -> list[ContentsEntry]:
        """Return the contents down to a level, from the navigation, or else from the NCX of an EPUB 2."""
        nav = next((each for each in self._manifest.values() if "nav" in _properties(each)), None)
        if nav is not None and (path := self._path_of(nav)) in self._archive:
            self.contents_path = path
            root = xml.parse(self._archive.read(path), path)
            for each in descendants(root, "nav") if root is not None else ():
                if attribute(each, "type") in {"toc", ""}:
                    return list(_nav_entries(each, path, depth))
        ncx = next((each for each in self._manifest.values() if "ncx" in attribute(each, "media-type")), None)
        if ncx is not None and (path := self._path_of(ncx)) in self._archive:
            root = xml.parse(self._archive.read(path), path)
            if root is not None:
                return [
                    entry for each in descendants(root, "navmap") for entry in _ncx_entries(each, path, depth)
                ]
        return []

    def about(self) -> AboutBook:
        names: dict[str, list[str]] = {}
        series, number = "", ""
        for each in descendants(self._root, "title", "creator", "language", "date", "meta"):
            if local_name(each) != "meta":
                names.setdefault(local_name(each), []).append(text_of(each)[:_MOST_TEXT_CHARACTERS])
            elif attribute(each, "name") == "calibre:series":
                series = attribute(each, "content")
            elif attribute(each, "name") == "calibre:series_index":
                number = attribute(each, "content")
            elif attribute(each, "property") == "belongs-to-collection":
                series = text_of(each)
            elif attribute(each, "property") == "group-position":
                number = text_of(each)
        return AboutBook(
            title=names.get("title", [""])[0],
            authors=tuple(name for name in names.get("creator", [])[:20] if name),
            language=names.get("language", [""])[0][:35],
            year=names.get("date", [""])[0][:4],
            series=f"{series} {number}".strip()[:_MOST_TEXT_CHARACTERS],
        )

    def cover(self) -> bytes:
        """Return the picture of the cover, or nothing if it is no PNG or JPEG of a usual size."""
        named = [
            attribute(each, "content")
            for each in descendants(self._root, "meta")
            if attribute(each, "name") == "cover"
        ]
        items = [each for each in self._manifest.values() if "cover-image" in _properties(each)]
        items += [self._manifest[each] for each in named if each in self._manifest]
        for item in items:
            if (path := self._path_of(item)) in self._archive:
                try:
                    data = self._archive.read(path, MOST_COVER_BYTES)
                except UnusableBook:
                    continue
                if data.startswith(_PICTURES):
                    return data
        return b""

    def _path_of(self, item: Element | None) -> str:
        return "" if item is None else resolve_link(self._path, attribute(item, "href"))[0]


def _check_unprotected(archive: Archive) -> None:
    if _ENCRYPTION not in archive:
        return
    root = xml.parse(archive.read(_ENCRYPTION), _ENCRYPTION)
    methods = [] if root is None else descendants(root, "encryptionmethod")
    if root is None or any(attribute(each, "Algorithm") not in _FONTS for each in methods):
        raise UnusableBook("it is protected, and is not opened", is_protected=True)


def _find_package(archive: Archive) -> tuple[str, Element]:
    if "word/document.xml" in archive:
        raise UnusableBook("it is a DOCX: save it as an EPUB, as Markdown or as text")
    root = xml.parse(archive.read(_CONTAINER), _CONTAINER) if _CONTAINER in archive else None
    for each in descendants(root, "rootfile") if root is not None else ():
        path = resolve_link("", attribute(each, "full-path"))[0]
        if path in archive and (package := xml.parse(archive.read(path), path)) is not None:
            return path, package
    raise UnusableBook("it is no EPUB: it names no package")


def _properties(item: Element) -> list[str]:
    return attribute(item, "properties").split()


def _nav_entries(nav: Element, path: str, depth: int) -> Iterator[ContentsEntry]:
    for list_ in children(nav, "ol"):
        for item in children(list_, "li"):
            for each in children(item, "a", "span"):
                yield _contents_entry(text_of(each), path, attribute(each, "href"))
                break
            if depth > 1:
                yield from _nav_entries(item, path, depth - 1)


def _ncx_entries(parent: Element, path: str, depth: int) -> Iterator[ContentsEntry]:
    for point in children(parent, "navpoint"):
        label = " ".join(text_of(each) for each in children(point, "navlabel"))
        source = next((attribute(each, "src") for each in children(point, "content")), "")
        yield _contents_entry(label, path, source)
        if depth > 1:
            yield from _ncx_entries(point, path, depth - 1)


def _contents_entry(title: str, base: str, link: str) -> ContentsEntry:
    path, fragment = resolve_link(base, link) if link else ("", "")
    return ContentsEntry(title[:_MOST_TEXT_CHARACTERS], path, fragment)
