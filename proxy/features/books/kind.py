"""Books: jobs of speech whose text is read from a file."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import msgspec
from msgspec.structs import replace

from proxy.api.speech_forms import BackgroundRequest
from proxy.audio.formats import SoundFailed
from proxy.errors import Conflict, InvalidRequest, RequestFailed
from proxy.feature import RevisionContext
from proxy.features.books.book_reader import FILE, BookReader
from proxy.features.books.request import BookBody, BookFacts, book_fields, parse_book
from proxy.features.jobs.core import uploads
from proxy.features.jobs.core.fields import StepFields
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.kind import Columns, Words
from proxy.features.jobs.core.m4b_facts import M4bFacts
from proxy.features.jobs.core.records import Job
from proxy.features.jobs.core.uploads import FileSeal
from proxy.features.jobs.kinds.speech.kind import SpeechKind
from proxy.features.jobs.kinds.speech.request import JobFields


class BookKind(SpeechKind):
    name = "book"
    body: type[msgspec.Struct] | None = BookBody
    words: ClassVar[Words] = {
        "en": {"kind": "Book", "author": "Author"},
        "es": {"kind": "Libro", "author": "Autor"},
        "pt-BR": {"kind": "Livro", "author": "Autor"},
        "th": {"kind": "หนังสือ", "author": "ผู้แต่ง"},
    }

    def __init__(self, files: JobFiles, reader: BookReader) -> None:
        super().__init__(files)
        self._reader = reader

    async def read_text(self, background: BackgroundRequest, revision: RevisionContext) -> JobFields:
        request = await asyncio.to_thread(parse_book, background.body, background.defaults)
        account = background.caller.account
        file = await uploads.find_file(self.store, account, request.body.input_file_id, FILE, "user_data")
        name = self.files.vault.open_record(account, file.id, file.seal, FileSeal).name
        content = await uploads.file_content(self.files, file)
        language = "" if (tag := request.body.language.lower()) == "auto" else tag
        book = await self._reader.read_book(account, content, name, request.body.read, language)
        fields = await asyncio.to_thread(book_fields, request, book, name, background.defaults)
        return await self.with_cover(background, fields)

    async def facts(self, job: Job) -> M4bFacts:
        """Return the facts of the book. Its file is opened again for the cover, which a job does not
        store."""
        try:
            facts = await super().facts(job)
        except RequestFailed as failed:
            # SoundFailed lets the step be tried again.
            raise SoundFailed(failed.code) from None
        book = msgspec.json.decode(self._fields(job).own, type=BookFacts)
        about = book.about
        return replace(
            facts,
            title=about.title,
            authors=about.authors,
            year=about.year,
            language=about.language or facts.language,
            series=about.series,
        )

    def columns(self, job: Job) -> Columns:
        authors = msgspec.json.decode(self._fields(job).own, type=BookFacts).about.authors
        return {"author": ", ".join(authors)} if authors else {}

    async def find_cover(self, job: Job, fields: StepFields, *, waits: bool = False) -> bytes:
        if cover := await super().find_cover(job, fields, waits=waits):
            return cover
        book = msgspec.json.decode(fields.own, type=BookFacts)
        content = await uploads.held_content(self.files, job.account, book.file)
        if not content.size:
            return b""
        try:
            return await self._reader.read_cover(job.account, content, book.name, waits=waits)
        except InvalidRequest:
            # The book was read before, so its file is good, and this request has no `input_file_id`.
            raise Conflict("This server cannot read the cover of the book.", param="file") from None
