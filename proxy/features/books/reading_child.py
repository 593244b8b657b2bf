"""The process that reads one book: `python -m proxy.features.books.reading_child`.

It gets its order and then the file over its pipe, answers once, and ends.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import msgspec

from proxy.features.books.reading.book import ReadRules, UnusableBook
from proxy.features.books.reading_orders import BookFormat, BookOrder, FoundCover, Read, Refused
from proxy.helpers.file_child import receive_file
from speech_engine.host.child_pipe import pipe_of_one_thread

_TOO_MUCH_MEMORY = Refused("to read it takes more memory than any book needs")
_TINY = {"epub": b"", "markdown": b"# A\n\nB.", "text": b"A."}
_ENCODINGS = ("cp437", "utf-16", "utf-16-le", "utf-16-be", "windows-1252", "latin-1")
_Reader = Callable[[bytes], Read | FoundCover]
_decode = msgspec.msgpack.Decoder(BookOrder).decode


def main() -> None:
    pipe = pipe_of_one_thread()
    order = _decode(pipe.read() or b"")
    reader = _reader_of(order)
    _warm_up(reader, order.format)
    pipe.write(msgspec.msgpack.encode(_read_or_refuse(reader, receive_file(pipe))))


def _reader_of(order: BookOrder) -> _Reader:
    # Imported here, as only EPUBs need the package lxml.
    rules = order.rules
    if order.format == "epub":
        from proxy.features.books.reading.epub import read_cover, read_epub

        if rules is None:
            return lambda file: FoundCover(read_cover(BytesIO(file)))
        return lambda file: Read(read_epub(BytesIO(file), rules, order.language))
    from proxy.features.books.reading.plain import read_markdown, read_text

    read = read_markdown if order.format == "markdown" else read_text
    return lambda file: Read(read(file, rules or ReadRules()))


def _read_or_refuse(read: _Reader, file: bytes) -> Read | FoundCover | Refused:
    try:
        return read(file)
    except UnusableBook as fault:
        return Refused(str(fault), fault.is_protected)
    except (MemoryError, RecursionError):
        return _TOO_MUCH_MEMORY


def _warm_up(read: _Reader, format_: BookFormat) -> None:
    """Load all modules of the work. Python loads some at their first use, and a confined process cannot."""
    _read_or_refuse(read, _TINY[format_] or _tiny_epub())
    for encoding in _ENCODINGS:
        "A".encode(encoding)


def _tiny_epub() -> bytes:
    """Return an EPUB that uses each part of the reader."""
    from zipfile import ZIP_DEFLATED, ZipFile

    out = BytesIO()
    with ZipFile(out, "w", ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", '<c><rootfile full-path="b.opf"/></c>')
        package = '<p><manifest><item id="a" href="a.x"/></manifest><spine><itemref idref="a"/></spine></p>'
        archive.writestr("b.opf", package)
        archive.writestr("a.x", '<html><body><p id="p">A <a href="#p">1</a><br>B</p></body></html>')
    return out.getvalue()


if __name__ == "__main__":
    main()
