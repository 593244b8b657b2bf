"""Reads books in processes: one for each book, one at a time."""

from __future__ import annotations

from contextlib import aclosing
from importlib.util import find_spec

import msgspec

from proxy.audio.recordings.recording import UnusableRecording
from proxy.errors import InvalidRequest
from proxy.features.books.reading.book import Book, ReadRules
from proxy.features.books.reading_orders import BookFormat, BookOrder, FoundCover, Read, Refused
from proxy.features.jobs.core.file_reader import FileReader
from proxy.file_store.sealed_blobs import StoredFile
from proxy.helpers.limiter import FairLimiter

FILE = "input_file_id"
_Answer = Read | FoundCover | Refused
_decoder: msgspec.msgpack.Decoder[_Answer] = msgspec.msgpack.Decoder(_Answer)


class BookReader(FileReader):
    module = "proxy.features.books.reading_child"

    def __init__(self) -> None:
        super().__init__(FairLimiter("books that are read", places=8, of_account=3, at_once=1))

    async def read_book(
        self, account: str, file: StoredFile, name: str, rules: ReadRules, language: str
    ) -> Book:
        """Read a book. Raises InvalidRequest, DecodingFailed, VaultFailed, NoPlace."""
        order = BookOrder(_format_of(name, await _first_bytes(file)), rules, language)
        answer = await self._ask_child(account, file, order)
        assert isinstance(answer, Read), "it was asked with rules"
        return answer.book

    async def read_cover(self, account: str, file: StoredFile, name: str, *, waits: bool) -> bytes:
        """Return the picture of a book's cover, or nothing. Raises as `read_book` does."""
        if _format_of(name, await _first_bytes(file)) != "epub":
            return b""
        answer = await self._ask_child(account, file, BookOrder("epub", None), waits=waits)
        assert isinstance(answer, FoundCover), "it was asked without rules"
        return answer.picture

    async def _ask_child(
        self, account: str, file: StoredFile, order: BookOrder, *, waits: bool = False
    ) -> Read | FoundCover:
        if order.format == "epub" and find_spec("lxml") is None:
            raise _unusable(
                "this server reads no EPUBs, as it lacks the package lxml: pip install voxgate[books]"
            )
        try:
            answer: _Answer = await self.read_file(account, order, file, _decoder.decode, waits=waits)
        except UnusableRecording:
            answer = Refused("to read it takes too long, or it is made to harm")
        if isinstance(answer, Refused):
            raise _unusable(answer.why, "book_is_protected" if answer.is_protected else "unusable_book")
        return answer


def _unusable(why: str, code: str = "unusable_book") -> InvalidRequest:
    return InvalidRequest(f"Invalid '{FILE}': {why}.", param=FILE, code=code)


def _format_of(name: str, beginning: bytes) -> BookFormat:
    """Return the format of a book, by its first bytes and its name."""
    suffix = name.lower().rpartition(".")[2]
    if beginning == b"PK" or suffix in {"epub", "docx"}:
        return "epub"
    return "markdown" if suffix in {"md", "markdown"} else "text"


async def _first_bytes(file: StoredFile) -> bytes:
    async with aclosing(file.parts(range(2))) as parts:
        return b"".join([part async for part in parts])
