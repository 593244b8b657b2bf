"""Finds the notes of an EPUB: the blocks that marks in its text lead to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from proxy.features.books.reading.archive import resolve_link
from proxy.features.books.reading.document import (
    HEADINGS,
    block_of,
    first_characters,
    is_mark,
    is_page_number,
    kinds_of,
    link_of,
)
from proxy.features.books.reading.xml import Element, ids_of, local_name

_MOST_MARKS = 20_000
_NOTE_KINDS = {"footnote", "endnote", "rearnote"}

Place = tuple[str, str]
"""A document, and an id in it."""


class _Mark(NamedTuple):
    """A reference to a note, such as [1] or *: the numbers of its document and of its element, the place that
    it leads to, and its text."""

    document: int
    number: int
    leads_to: Place
    label: str


class _Block(NamedTuple):
    """The block of an id: from the `first` element up to the `last`. A block with headings is no note. It
    `looks_like_note` if it is an item of a list, or a mark in it leads back."""

    document: int
    first: int
    last: int
    beginning: str
    has_headings: bool
    is_typed: bool
    looks_like_note: bool


def find_notes(documents: Mapping[str, Element | None]) -> set[Place]:
    """Return the places of all notes in documents, which are their roots by their paths. A mark inside of a
    note leads back, and not to another note."""
    blocks, marks, sizes = dict[Place, _Block](), list[_Mark](), list[int]()
    for number, (path, root) in enumerate(documents.items()):
        sizes.append(0 if root is None else _Survey(root, number, path).add_to(blocks, marks))
    # By the numbers of the document and of the element: 1 if the element is in a note.
    in_notes = [bytearray(size) for size in sizes]
    notes = set[Place]()
    for mark in marks[:_MOST_MARKS]:
        block = blocks.get(mark.leads_to)
        if block is None or in_notes[mark.document][mark.number] or not _is_note(block, mark):
            continue
        notes.add(mark.leads_to)
        if not in_notes[block.document][block.first]:
            in_notes[block.document][block.first : block.last + 1] = b"\1" * (block.last + 1 - block.first)
    return notes


def _is_note(block: _Block, mark: _Mark) -> bool:
    if block.has_headings:
        return False
    is_behind = (block.document, block.first) > (mark.document, mark.number)
    label = _bare_label(mark.label)
    looks_like_note = block.looks_like_note or _bare_label(block.beginning).startswith(label)
    return block.is_typed or (is_behind and looks_like_note)


def _bare_label(label: str) -> str:
    return label.strip("[]() .")


class _Survey:
    """One document: its elements by number, and how many headings and marks come before each."""

    def __init__(self, root: Element, document: int, path: str) -> None:
        self._document = document
        self._path = path
        self._root = root
        self._elements = list(root.iter())
        self._numbers = {element: number for number, element in enumerate(self._elements)}
        self._last_numbers = self._find_lasts()
        self._headings = [0]
        self._marks = [0]
        self._blocks: dict[Element, _Block] = {}

    def add_to(self, blocks: dict[Place, _Block], marks: list[_Mark]) -> int:
        """Add the blocks and marks, and return the number of elements."""
        for number, element in enumerate(self._elements):
            name = local_name(element)
            found = name in {"a", "sup"} and is_mark(element)
            if found:
                place = resolve_link(self._path, link_of(element))
                marks.append(_Mark(self._document, number, place, first_characters(element)))
            self._headings.append(self._headings[-1] + (name in HEADINGS))
            self._marks.append(self._marks[-1] + found)
        for id_, element in ids_of(self._root).items():
            parent = element.getparent()
            # A page number is no note, though links lead to it.
            if is_page_number(element) or (parent is not None and is_page_number(parent)):
                continue
            block = block_of(element)
            if block not in self._blocks:
                self._blocks[block] = self._measure_block(block)
            blocks[self._path, id_] = self._blocks[block]
        return len(self._elements)

    def _measure_block(self, element: Element) -> _Block:
        first = self._numbers[element]
        last = self._last_numbers[first]
        is_typed = bool(kinds_of(element) & _NOTE_KINDS) or local_name(element) == "aside"
        leads_back = self._marks[last + 1] > self._marks[first]
        return _Block(
            document=self._document,
            first=first,
            last=last,
            beginning=first_characters(element),
            has_headings=self._headings[last + 1] > self._headings[first],
            is_typed=is_typed,
            looks_like_note=leads_back or local_name(element) == "li",
        )

    def _find_lasts(self) -> list[int]:
        """Return for each element the number of its last descendant, or its own if it has none."""
        lasts = list(range(len(self._elements)))
        for number in range(len(self._elements) - 1, -1, -1):
            element = self._elements[number]
            if len(element):
                lasts[number] = lasts[self._numbers[element[-1]]]
        return lasts


def note_text(block: Element) -> str:
    """Return the text of a note without the mark that leads back."""
    words = list[str]()

    def collect(element: Element) -> None:
        words.append(str(element.text or ""))
        for each in element:
            if local_name(each) and not is_mark(each) and "backlink" not in kinds_of(each):
                collect(each)
            words.append(str(each.tail or ""))

    collect(block)
    return " ".join("".join(words).split()).lstrip(".:) ").rstrip("↩ ")
