"""Parses XML of strangers, with bounds and without entities that it declares."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from html.entities import name2codepoint
from typing import Protocol

from lxml import etree

from proxy.features.books.reading.book import UnusableBook


class Element(Protocol):
    """An element of lxml. The tag of a comment is no text."""

    tag: object
    text: str | None
    tail: str | None
    attrib: Mapping[str, str]

    def get(self, name: str) -> str | None: ...
    def iter(self) -> Iterator[Element]: ...
    def itertext(self) -> Iterator[str]: ...
    def getparent(self) -> Element | None: ...
    def __iter__(self) -> Iterator[Element]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, number: int, /) -> Element: ...


_MOST_TAGS = 200_000
"""Each element takes memory. A long novel in one file has some 60,000."""
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_DECLARED_ENCODING = re.compile(
    rb"""<\?xml[^>]{0,200}?encoding\s{0,9}=\s{0,9}["']([A-Za-z0-9._-]{1,40})["']"""
)
_DECLARATION = re.compile(r"^\s{0,99}<\?xml[^>]{0,200}>")
_DOCTYPE = re.compile(r"<!DOCTYPE[^\[>]{0,1000}(\[|>)", re.IGNORECASE)
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,31});")
_XML_ENTITIES = {"amp", "lt", "gt", "quot", "apos"}


def parse(data: bytes, name: str) -> Element | None:
    """Return the root of a document, None if it has none. Raises UnusableBook."""
    if data.count(b"<") > _MOST_TAGS:
        raise UnusableBook(f"its file {name[:100]!r} has more than {_MOST_TAGS:,} tags")
    text = _DECLARATION.sub("", _decode(data), count=1)
    if "<!ENTITY" in text:
        raise UnusableBook(f"its file {name[:100]!r} declares entities")
    text = _ENTITY.sub(_entity_letter, _DOCTYPE.sub(_drop_doctype, text, count=1))
    encoded = text.encode("utf-8", "replace")
    try:
        strict: Element = etree.fromstring(encoded, _parser(recover=False))
        return strict
    except etree.XMLSyntaxError as fault:
        # With `recover`, the parser would drop deeper elements without an error.
        if "depth" in str(fault):
            raise UnusableBook(f"its file {name[:100]!r} nests too deeply") from None
    try:
        root: Element | None = etree.fromstring(encoded, _parser(recover=True))
    except etree.XMLSyntaxError:
        return None
    return root


def _parser(*, recover: bool) -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8",
        recover=recover,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


def _decode(data: bytes) -> str:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    if data[:200].count(0) > 20:  # UTF-16 without its mark
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", "replace")
    found = _DECLARED_ENCODING.search(data[:400])
    try:
        return data.decode(found.group(1).decode() if found else "utf-8")
    except (UnicodeDecodeError, LookupError):
        return data.decode("windows-1252", "replace")


def _entity_letter(found: re.Match[str]) -> str:
    name = found.group(1)
    point = None if name in _XML_ENTITIES else name2codepoint.get(name)
    return found.group() if point is None else chr(point)


def _drop_doctype(found: re.Match[str]) -> str:
    """Leave out a DOCTYPE. One with declarations stays, as it may have brackets anywhere."""
    return "" if found.group(1) == ">" else found.group()


def local_name(element: Element) -> str:
    """Return the name of an element without its namespace, in lower case, or "" for a comment."""
    tag = element.tag
    return tag.rpartition("}")[2].lower() if isinstance(tag, str) else ""


def attribute(element: Element, name: str) -> str:
    """Return an attribute in any namespace, or ""."""
    value = element.get(name)
    if value is not None:
        return value
    return next((each for key, each in element.attrib.items() if key.rpartition("}")[2] == name), "")


def children(element: Element, *names: str) -> list[Element]:
    return [each for each in element if local_name(each) in names]


def descendants(element: Element, *names: str) -> list[Element]:
    return [each for each in element.iter() if local_name(each) in names]


def text_of(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def ids_of(root: Element) -> dict[str, Element]:
    """Return the elements that have an id, or the name of an old anchor."""
    found: dict[str, Element] = {}
    for each in root.iter():
        if local_name(each) and (id_ := id_of(each)):
            found.setdefault(id_, each)
    return found


def id_of(element: Element) -> str:
    return attribute(element, "id") or (attribute(element, "name") if local_name(element) == "a" else "")
