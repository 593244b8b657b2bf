"""Reads books in processes: one for each book, one at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from importlib.util import find_spec

import msgspec

from proxy.audio.recordings.apart import MOST_TRIES, read_apart
from proxy.audio.recordings.recording import UnusableRecording
from proxy.errors import InvalidRequest
from proxy.features.books.reading.book import Book, ReadRules
from proxy.features.books.reading_orders import BookFormat, BookOrder, FoundCover, Read, Refused
from proxy.file_store.sealed_blobs import StoredFile
from proxy.helpers.helper import Helper, HelperSpec, Life
from proxy.helpers.limiter import FairLimiter

FILE = "input_file_id"
_READ_TIMEOUT_S = 60.0
_AGAIN_WITHIN_S = 4.0
_MOST_ANSWER_BYTES = 16 * 1024 * 1024
_SPEC = HelperSpec(
    module="proxy.features.books.reading_child",
    is_for_one=True,
    most_tries=MOST_TRIES,
    again_within_s=_AGAIN_WITHIN_S,
    most_answer_bytes=_MOST_ANSWER_BYTES,
)
_Answer = Read | FoundCover | Refused
_decoder: msgspec.msgpack.Decoder[_Answer] = msgspec.msgpack.Decoder(_Answer)


class BookReader:
    """Reads the books of a worker. `open_book_reader` closes it."""

    def __init__(self) -> None:
        self._places = FairLimiter("books that are read", places=8, of_account=3, at_once=1)
        self._helper = Helper(_SPEC)

    async def read(self, account: str, file: StoredFile, name: str, rules: ReadRules, language: str) -> Book:
        """Read a book. Raises InvalidRequest, DecodingFailed, VaultFailed, NoPlace."""
        order = BookOrder(_format_of(name, await _first_bytes(file)), rules, language)
        answer = await self._ask_child(account, file, order)
        assert isinstance(answer, Read), "it was asked with rules"
        return answer.book

    async def read_cover(self, account: str, file: StoredFile, name: str, *, waits: bool) -> bytes:
        """Return the picture of a book's cover, or nothing. Raises as `read` does."""
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
        async with self._places.hold_turn(account, waits=waits):
            asking = self._helper.run_with_process(partial(_send_book, order, file), within_s=_READ_TIMEOUT_S)
            try:
                answer: _Answer = await read_apart(asking, _decoder.decode)
            except UnusableRecording:
                answer = Refused("to read it takes too long, or it is made to harm")
        if isinstance(answer, Refused):
            raise _unusable(answer.why, "book_is_protected" if answer.is_protected else "unusable_book")
        return answer

    async def close(self) -> None:
        await self._helper.close()


@asynccontextmanager
async def open_book_reader() -> AsyncIterator[BookReader]:
    reader = BookReader()
    try:
        yield reader
    finally:
        await reader.close()


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


async def _send_book(order: BookOrder, file: StoredFile, life: Life) -> bytes:
    """Send the order to the process, and the file once it is confined. Raises HelperFailed, VaultFailed."""
    await life.ask(msgspec.msgpack.encode(order))
    async with aclosing(file.parts(range(file.size))) as parts:
        async for part in parts:
            if part:
                await life.send(part)
    return await life.ask(b"")
