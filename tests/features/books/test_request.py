"""What a job says of a book that was read: its chapters, and the pauses between their sections."""

import msgspec

from proxy.features.books.reading.book import AboutBook, Book, BookChapter, BookSection
from proxy.features.books.request import book_fields, parse_book
from proxy.speech.speech_request import Defaults

BOOK = Book(
    about=AboutBook(),
    chapters=(
        BookChapter(
            "One",
            (
                BookSection("chapter", "One"),
                BookSection("heading", "It began."),
                BookSection("scene", "Later."),
            ),
        ),
        BookChapter("Two", (BookSection("chapter", "Two"), BookSection("heading", "It ended."))),
    ),
)


def test_each_pause_is_before_its_own_section() -> None:
    pauses = {"paragraph": 0.5, "scene": 1.5, "chapter": 2.5}
    body = {"kind": "book", "input_file_id": "file_1", "model": "tone", "voice": "alloy", "pauses": pauses}
    request = parse_book(msgspec.json.encode(body), Defaults())
    fields = book_fields(request, BOOK, "novel.md", Defaults())
    assert fields.layout.gaps == ((0, 2.5), (5, 0.5), (16, 1.5), (24, 2.5), (29, 0.5))
    assert [each.title for each in fields.chapters] == ["One", "Two"]
