"""The messages to and from the process that reads a book. The server itself loads no parser."""

from __future__ import annotations

from typing import Literal

import msgspec

from proxy.features.books.reading.book import Book, ReadRules

BookFormat = Literal["epub", "markdown", "text"]
"""The format of a book's file."""


class BookOrder(msgspec.Struct, frozen=True):
    """An order to read a book by its rules, or, without rules, the cover of an EPUB. If there is a
    `language`, the book is spoken in it. The parts of the file follow, and then an empty part."""

    format: BookFormat
    rules: ReadRules | None
    language: str = ""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The reason why a file cannot be read as a book."""

    why: str
    is_protected: bool = False


class Read(msgspec.Struct, frozen=True, tag="read"):
    book: Book


class FoundCover(msgspec.Struct, frozen=True, tag="cover"):
    """A PNG or a JPEG, or nothing."""

    picture: bytes

    def __repr__(self) -> str:
        return f"<FoundCover of {len(self.picture)} bytes>"
