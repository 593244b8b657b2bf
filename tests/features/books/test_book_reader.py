"""Books that are read in a confined process."""

from contextlib import aclosing
from typing import Literal

import pytest

from proxy.errors import InvalidRequest
from proxy.features.books.book_reader import BookReader
from proxy.features.books.reading.book import Book, ReadRules
from proxy.features.books.reading.plain import read_markdown
from proxy.file_store.sealed_blobs import SealedBlobs, StoredFile
from tests.features.books.epubs import epub, xhtml
from tests.features.books.test_hostile_books import REFUSED


async def _read(reader: BookReader, data: bytes, name: str = "") -> Book:
    files: SealedBlobs = None  # type: ignore[assignment]  # the file has no blobs
    parts = [data[start : start + 65_536] for start in range(0, len(data), 65_536)]
    return await reader.read_book("acc_1", StoredFile(files, "acc_1", parts), name, ReadRules(), "")


async def test_a_book_is_read_by_what_it_is() -> None:
    markdown = b"# One\n\nA *word*.\n\n* * *\n\n| a | b |\n|---|---|\n| c | d |\n\n## Two\n\nB."
    async with aclosing(BookReader()) as reader:
        book = await _read(reader, epub({"a.xhtml": xhtml("<h1>One</h1><p>A.<br>B.</p>")}))
        assert [each.sections[-1].text for each in book.chapters] == ["A. B."]
        book = await _read(reader, markdown, "Novel.MD")
        assert [each.title for each in book.chapters] == ["One", "Two"]
        assert [part.text for part in book.chapters[0].sections] == ["One", "A word.", "a, b\n\nc, d"]
        book = await _read(reader, "Before.\n# One\nA\nb.\n\n***\n\nC.".encode("utf-16"), "novel.txt")
        assert [[part.text for part in each.sections] for each in book.chapters] == [
            ["Before."],
            ["One", "A b.", "C."],
        ]


def test_notes_of_markdown_are_read_as_the_rules_say() -> None:
    markdown = b"# One[^b]\n\nA[^1], b [^x].\n\n[^1]: The *first*\nnote.\n[^b]: Second\n[^c]: Third.\n\nC."
    expected: dict[Literal["skip", "after", "end"], list[str]] = {
        "skip": ["One", "A, b [^x].", "C."],
        "after": ["One", "Second", "A, b [^x].", "The first note.", "C."],
        "end": ["One", "A, b [^x].", "C.", "Second", "The first note."],
    }
    for notes, texts in expected.items():
        book = read_markdown(markdown, ReadRules(notes=notes))
        found = "\n\n".join(part.text for part in book.chapters[0].sections).split("\n\n")
        assert (book.chapters[0].title, found) == ("One", texts)
        left_out = {each.rule: each.times for each in book.left_out}
        assert left_out == {"note_mark": 2, "note": 3 if notes == "skip" else 1}


@pytest.mark.slow
async def test_what_is_no_book_is_refused_with_a_code(subtests: pytest.Subtests) -> None:
    async with aclosing(BookReader()) as reader:
        for name, case in REFUSED.items():
            with subtests.test(name):
                with pytest.raises(InvalidRequest, match=case.why) as refused:
                    await _read(reader, case.make(), "book.epub")
                code = "book_is_protected" if name == "protected" else "unusable_book"
                assert (refused.value.code, refused.value.param) == (code, "input_file_id")


async def test_a_text_in_no_known_letters_is_refused() -> None:
    async with aclosing(BookReader()) as reader:
        with pytest.raises(InvalidRequest, match="no text in UTF-8"):
            await _read(reader, b"\xe9t\xe9", "novel.txt")
