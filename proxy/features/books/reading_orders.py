"""What is sent to the process that reads a book, and what it answers. The server loads no parser for it."""

from __future__ import annotations

from typing import Literal

import msgspec

from proxy.features.books.reading.book import Book, ReadRules

Make = Literal["epub", "markdown", "text"]
"""How a book is written."""


class BookOrder(msgspec.Struct, frozen=True):
    """What to read: without rules, the cover of an EPUB. The parts of the file follow, and an empty one at
    its end."""

    make: Make
    rules: ReadRules | None


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """Why a file is no book that can be read."""

    why: str
    is_protected: bool = False


class Read(msgspec.Struct, frozen=True, tag="read"):
    book: Book


class FoundCover(msgspec.Struct, frozen=True, tag="cover"):
    """A PNG or a JPEG, or nothing."""

    picture: bytes

    def __repr__(self) -> str:
        return f"<FoundCover of {len(self.picture)} bytes>"
