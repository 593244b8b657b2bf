"""Files that are no book, or made to harm: each is refused with its reason, or read as far as it goes."""

import io
import struct
import sys
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.features.books.reading.archive import Archive
from proxy.features.books.reading.book import Book, ReadRules, UnusableBook
from proxy.features.books.reading.epub import read_epub
from proxy.features.books.reading.plain import read_markdown, read_text
from tests.features.books.epubs import CONTAINER, epub, nav, package, xhtml, zipped
from tests.tables import each_row

RULES = ReadRules()
_MB = 1024 * 1024


class Refused(NamedTuple):
    make: Callable[[], bytes]
    why: str


def _encrypted(way: str) -> bytes:
    data = (
        '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><EncryptedData>'
        f'<EncryptionMethod Algorithm="{way}"/></EncryptedData></encryption>'
    )
    return epub({"a.xhtml": xhtml("<p>A.</p>"), "META-INF/encryption.xml": data})


def _twice() -> bytes:
    out = io.BytesIO(epub({"a.xhtml": xhtml("<p>A.</p>")}))
    with zipfile.ZipFile(out, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("OEBPS/a.xhtml", "B")
    return out.getvalue()


def _flagged() -> bytes:
    """Return a zip whose central directory says that its first file is encrypted."""
    data = bytearray(epub({"a.xhtml": xhtml("<p>A.</p>")}))
    place = data.index(b"PK\1\2")
    data[place + 8 : place + 10] = struct.pack("<H", 1)
    return bytes(data)


def _damaged() -> bytes:
    data = bytearray(zipped({"META-INF/container.xml": CONTAINER}))
    data[50] ^= 0xFF
    return bytes(data)


def _lying() -> bytes:
    """Return a zip whose central directory says that its document is shorter than it is."""
    data = bytearray(epub({"a.xhtml": xhtml("<p>A.</p>" * 9)}))
    place = data.rindex(b"PK\1\2")
    data[place + 24 : place + 28] = struct.pack("<I", 99)
    return bytes(data)


def _of(text: str | bytes) -> Callable[[], bytes]:
    return lambda: epub({"a.xhtml": text})


REFUSED = {
    "no zip": Refused(lambda: b"PK not a zip", "no EPUB"),
    "empty": Refused(lambda: b"", "no EPUB"),
    "cut": Refused(lambda: epub({"a.xhtml": xhtml("<p>A.</p>")})[:-40], "no EPUB"),
    "damaged": Refused(_damaged, "damaged"),
    "a size that is not true": Refused(_lying, "damaged"),
    "a PDF": Refused(lambda: b"%PDF-1.7\n1 0 obj << >> endobj", "no EPUB"),
    "no container": Refused(lambda: zipped({"a": "b"}), "names no package"),
    "Word": Refused(lambda: zipped({"word/document.xml": "<w/>"}), "it is a DOCX"),
    "no package": Refused(lambda: zipped({"META-INF/container.xml": CONTAINER}), "names no package"),
    "a name twice": Refused(_twice, "same name"),
    "encrypted zip": Refused(_flagged, "encrypted"),
    "protected": Refused(lambda: _encrypted("http://www.w3.org/2001/04/xmlenc#aes128-cbc"), "protected"),
    "many files": Refused(lambda: zipped({str(each): "" for each in range(5_001)}), "more than 5,000 files"),
    "a bomb": Refused(lambda: zipped({str(each): bytes(9 * _MB) for each in range(29)}), "256 MiB"),
    "a large file": Refused(lambda: zipped({"a": bytes(257 * _MB)}), "256 MiB"),
    "a large text": Refused(_of(bytes(8 * _MB + 1)), "8 MiB"),
    "many tags": Refused(_of(xhtml("<i/>" * 400_001)), "200,000 tags"),
    "laughs": Refused(_of('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'), "declares entities"),
    "a file": Refused(_of('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'), "entities"),
    "deep": Refused(_of(xhtml("<div>" * 300 + "A" + "</div>" * 300)), "nests too deeply"),
    "no text": Refused(_of(xhtml("<p>* * *</p>")), "no text"),
    "no XML": Refused(_of(b"\x00\x01"), "no text"),
    "long": Refused(_of(xhtml(f"<p>{'word ' * 100}</p>" * 2_100)), "1,000,000 characters"),
}
READ: dict[str, Callable[[], bytes]] = {
    "obscured fonts": lambda: _encrypted("http://www.idpf.org/2008/embedding"),
    "Adobe's obscured fonts": lambda: _encrypted("http://ns.adobe.com/pdf/enc#RC"),
    "an outer DTD": _of(xhtml("<p>A.</p>").replace("<!DOCTYPE html>", '<!DOCTYPE html SYSTEM "file:///x">')),
    "scripts": _of(xhtml("<script>alert(1)</script><p>A.</p>")),
    "Latin-1": _of(xhtml("<p>A.</p>").replace("utf-8", "iso-8859-1").encode("latin-1")),
    "an unknown encoding": _of(xhtml("<p>A.</p>").replace("utf-8", "odd-8")),
    "nested": _of(xhtml("<div>" * 240 + "A." + "</div>" * 240)),
    "paths that leave": lambda: zipped(
        {
            "META-INF/container.xml": CONTAINER,
            "OEBPS/book.opf": package(["../../etc/passwd", "a.xhtml"]),
            "OEBPS/a.xhtml": xhtml("<p>A.</p>"),
        }
    ),
}


def _read(data: bytes) -> Book:
    return read_epub(io.BytesIO(data), RULES)


def test_what_is_no_book_is_refused_with_its_reason(subtests: pytest.Subtests) -> None:
    for name, case in REFUSED.items():
        with subtests.test(name):
            data = case.make()
            begun = time.process_time()
            with pytest.raises(UnusableBook, match=case.why) as refused:
                _read(data)
            assert refused.value.is_protected == (name == "protected")
            assert time.process_time() - begun < 2


def _again_and_again(refs: str) -> bytes:
    """Return an EPUB with one document, which the spine names in these references."""
    opf = package(["a.xhtml"]).replace('<itemref idref="d0"/>', refs)
    files = {"META-INF/container.xml": CONTAINER, "OEBPS/book.opf": opf}
    return zipped({**files, "OEBPS/a.xhtml": xhtml("<p>A.</p><hr/>" * 1_000)})


def test_a_document_is_read_once_however_often_the_spine_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    names, read = list[str](), Archive.read

    def noted(archive: Archive, name: str, *more: int) -> bytes:
        names.append(name)
        return read(archive, name, *more)

    monkeypatch.setattr(Archive, "read", noted)
    book = _read(_again_and_again('<itemref idref="d0" linear="no"/>' + '<itemref idref="d0"/>' * 300))
    assert names.count("OEBPS/a.xhtml") == 1
    (chapter,) = book.chapters
    assert len(chapter.sections) == 1_000
    (again,) = book.left_out
    assert (again.where, again.rule, again.times) == ("OEBPS/a.xhtml", "not_in_order", 299)


@pytest.mark.parametrize(
    ("number", "body", "why"),
    [
        (1, "<p>A</p><hr/>" * 10_001, "more than 10,000 sections"),
        pytest.param(3, "<p>A</p>" * 90_000, "500,000 tags together", marks=pytest.mark.slow),
        (5, f"<p hidden=''>{'word ' * 1_500_000}</p>", "32 MiB or"),
    ],
    ids=["sections", "tags", "bytes"],
)
def test_documents_are_bounded_together(number: int, body: str, why: str) -> None:
    with pytest.raises(UnusableBook, match=why):
        _read(epub({f"{each}.xhtml": xhtml(body) for each in range(number)}))


@pytest.mark.parametrize("line", ["# a\n", "- a\n\n"])
def test_markdown_has_at_most_fifty_thousand_lines(line: str) -> None:
    began_s = time.process_time()
    with pytest.raises(UnusableBook, match="more than 50,000 lines"):
        read_markdown((line * 50_001).encode(), RULES)
    assert time.process_time() - began_s < 1


@each_row(
    ("read", "text"),
    [(read_markdown, "A\n\n***\n\n"), (read_text, "A\n\n* * *\n\n")],
)
def test_a_text_has_at_most_ten_thousand_sections(
    read: Callable[[bytes, ReadRules], Book], text: str
) -> None:
    assert sum(len(each.sections) for each in read((text * 10_000).encode(), RULES).chapters) == 10_000
    with pytest.raises(UnusableBook, match="10,000 sections"):
        read((text * 10_001).encode(), RULES)


def test_many_links_to_a_book_of_many_documents_are_read_at_once() -> None:
    files = {f"{each:03}.xhtml": xhtml("<p>A.</p>") for each in range(400)}
    contents = xhtml(nav(*["000.xhtml|Title"] * 20_000))
    guide = '<reference type="text" href="001.xhtml"/>' * 60_000
    begun = time.process_time()
    book = _read(epub({**files, "nav.xhtml": contents}, guide=guide))
    assert (len(book.chapters), len(book.chapters[0].title)) == (1, 1_000)
    assert time.process_time() - begun < 2


def test_odd_books_are_read(subtests: pytest.Subtests) -> None:
    for name, make in READ.items():
        with subtests.test(name):
            assert [each.sections[-1].text for each in _read(make()).chapters] == ["A."]


_opened: list[object] | None = None


def _note_opened(event: str, given: tuple[object, ...]) -> None:
    if _opened is not None and event in {"open", "os.open", "socket.connect", "subprocess.Popen"}:
        _opened.append(given[0])


def test_no_book_opens_a_file_or_a_connection() -> None:
    global _opened
    books = [*(case.make() for case in REFUSED.values()), *(make() for make in READ.values())]

    def read_all() -> None:
        for data in books:
            with suppress(UnusableBook):
                _read(data)

    read_all()  # the first time, Python loads modules
    sys.addaudithook(_note_opened)
    _opened = []
    try:
        read_all()
        assert _opened == []
    finally:
        _opened = None


def test_a_pdf_is_no_text() -> None:
    with pytest.raises(UnusableBook, match="PDF"):
        read_text(b"%PDF-1.7\n1 0 obj << >> endobj", RULES)


WORST = {
    "empty tags": ("", "<i/>" * 12_500, ""),
    "marks": ("", '<a href="#x">1</a>' * 5_000, ""),
    "anchors in one paragraph": ("<p>", '<a id="x" href="#x">1</a>' * 5_000, "</p>"),
    "marks in marks": ("", ("<sup>" * 200 + "1" + "</sup>" * 200) * 25, ""),
    "ampersands": ("", "&amp" * 25_000, ""),
    "open brackets": ("", "<" * 22_500, ""),
    "doctypes": ("", "<!DOCTYPE " * 10_000, ""),
    "an address": ("<p><a href='#'>", "a@" * 62_500, "</a></p>"),
    "soft hyphens": ("<p>", "&shy;" * 25_000, "</p>"),
    "rows": ("<table>", "<tr><td>1</td></tr>" * 5_000, "</table>"),
}


@pytest.mark.slow
def test_twice_as_many_of_the_worst_letters_take_at_most_three_times_as_long(
    subtests: pytest.Subtests,
) -> None:
    for name, (before, many, after) in WORST.items():
        with subtests.test(name):
            once, twice = [
                min(_seconds(epub({"a.xhtml": xhtml(before + many * times + after)})) for _ in range(2))
                for times in (1, 2)
            ]
            assert twice < 3 * once + 0.1


def _seconds(data: bytes) -> float:
    begun = time.process_time()
    with suppress(UnusableBook):
        _read(data)
    return time.process_time() - begun


@given(st.text(max_size=2_000), st.sampled_from([read_markdown, read_text]))
def test_any_text_is_read_or_refused(text: str, read: Callable[[bytes, ReadRules], Book]) -> None:
    try:
        book = read(text.encode("utf-8", "surrogatepass"), RULES)
    except UnusableBook:
        return
    words = "".join(section.text for each in book.chapters for section in each.sections)
    assert any(each.isalnum() for each in words)


@given(st.binary(max_size=2_000))
def test_any_document_is_read_or_refused(data: bytes) -> None:
    with suppress(UnusableBook):
        _read(epub({"a.xhtml": b"<html><body><p>A</p>" + data}))


def test_a_book_takes_little_memory() -> None:
    paragraph = "<p>" + "Some words that are read aloud. " * 10 + "</p>"
    data = epub({f"{each:03}.xhtml": xhtml(f"<h1>{each}</h1>" + paragraph * 100) for each in range(30)})
    tracemalloc.start()
    try:
        assert len(_read(data).chapters) == 30
        assert tracemalloc.get_traced_memory()[1] < 64 * _MB
    finally:
        tracemalloc.stop()
