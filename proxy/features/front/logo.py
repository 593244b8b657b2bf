"""The operator's logo. A file that could do more than be a picture is refused."""

from __future__ import annotations

import os
import re
import stat
import zlib
from pathlib import Path
from typing import NamedTuple, NoReturn
from xml.parsers import expat

MOST_BYTES = 64 * 1024
_MOST_SIDE = 1024
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_BYTES, _COLOUR_TYPE = 13, 9
_WITH_PALETTE = 3
"""A colour type of PNG, which is the byte at `_COLOUR_TYPE`. The next two tables are by colour type."""
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_COPIED_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Of an interlaced picture: the first column and row, and the steps to the next."""
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_ELEMENTS = re.compile(
    "svg|g|path|rect|circle|ellipse|line|polyline|polygon|text|tspan|defs|linearGradient|radialGradient|stop"
    "|clipPath|mask|title|desc|style"
)
_FOREIGN = re.compile(
    r"@|\\|/\*|\b(?:image|image-set|src|expression)\s*\(|url\s*\((?!\s*['\"]?#)|:\s*//", re.I
)
"""What may fetch something in a style or an attribute, and the escapes and comments that could hide it."""


class Logo(NamedTuple):
    media: str
    content: bytes


class LogoRefused(Exception):
    """The file is no logo. The message says why."""


def read_logo(path: Path) -> Logo:
    """Return the logo in a file. Raises LogoRefused."""
    try:
        # Without O_NONBLOCK, a pipe of this name would halt the server.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise LogoRefused(f"it cannot be read, or is a link: {error.strerror}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise LogoRefused("it is no file")
        content = os.read(descriptor, MOST_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > MOST_BYTES:
        raise LogoRefused("it has more than 64 KiB")
    if path.suffix == ".png":
        return Logo("image/png", checked_png(content))
    check_svg(content)
    return Logo("image/svg+xml", content)


def checked_png(content: bytes) -> bytes:
    """Return a PNG with the chunks of its pixels alone. Raises LogoRefused."""
    chunks = _chunks(content)
    names = [name for name, _ in chunks]
    if names[:1] != [b"IHDR"] or names.count(b"IHDR") != 1 or names[-1] != b"IEND":
        raise LogoRefused("its header or its end is missing, or there is a second one")
    header = chunks[0][1]
    if len(header) != _HEADER_BYTES:
        raise LogoRefused("its header is damaged")
    _check_pixels(header, b"".join(data for name, data in chunks if name == b"IDAT"))
    if header[_COLOUR_TYPE] == _WITH_PALETTE and names.count(b"PLTE") != 1:
        raise LogoRefused("its palette is missing, or there is a second one")
    return _SIGNATURE + b"".join(_chunk_bytes(name, data) for name, data in chunks if name in _COPIED_CHUNKS)


def _chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    if not content.startswith(_SIGNATURE):
        raise LogoRefused("it is no PNG")
    found: list[tuple[bytes, bytes]] = []
    offset = len(_SIGNATURE)
    while offset < len(content):
        size, name = int.from_bytes(content[offset : offset + 4]), content[offset + 4 : offset + 8]
        name_and_data = content[offset + 4 : offset + 8 + size]
        checksum = content[offset + 8 + size : offset + 12 + size]
        if len(checksum) != 4 or zlib.crc32(name_and_data) != int.from_bytes(checksum):
            raise LogoRefused("it is cut off or damaged")
        if found and found[-1][0] == b"IEND":
            raise LogoRefused("something comes after its end")
        found.append((name, name_and_data[4:]))
        offset += 12 + size
    return found


def _check_pixels(header: bytes, compressed: bytes) -> None:
    """Decode the pixels, and stop where there are more than the header says."""
    width, height = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
    depth, colour, compression, filters, interlaced = header[8:]
    if not (0 < width <= _MOST_SIDE and 0 < height <= _MOST_SIDE):
        raise LogoRefused(f"it has {width} × {height} pixels, and 1024 × 1024 are the most")
    if depth not in _DEPTHS.get(colour, ()) or compression or filters or interlaced > 1:
        raise LogoRefused("its header is damaged")
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    # The columns and rows of each pass, rounded up.
    sizes = [(-((x - width) // dx), -((y - height) // dy)) for x, y, dx, dy in passes]
    bits = depth * _CHANNELS[colour]
    size = sum(rows * (1 + (columns * bits + 7) // 8) for columns, rows in sizes if columns > 0 and rows > 0)
    decoder = zlib.decompressobj()
    try:
        pixels = decoder.decompress(compressed, size + 1)
    except zlib.error:
        raise LogoRefused("its pixels cannot be decoded") from None
    if len(pixels) != size or not decoder.eof or decoder.unused_data:
        raise LogoRefused("it has other pixels than its header says")


def _chunk_bytes(name: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4)


def check_svg(content: bytes) -> None:
    """Raise LogoRefused for an SVG that has more than shapes, or refers to anything but its own parts."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    open_elements: list[str] = []
    style: list[str] = []

    def start_element(name: str, attributes: dict[str, str]) -> None:
        space, _, element = name.rpartition(" ")
        if space != _SVG or not _ELEMENTS.fullmatch(element) or (not open_elements and element != "svg"):
            _refuse(f"element {element[:40]!r} there")
        for attribute, value in attributes.items():
            _check_attribute(attribute, value)
        open_elements.append(element)

    def add_text(data: str) -> None:
        if open_elements[-1:] == ["style"]:
            style.append(data)

    parser.StartDoctypeDeclHandler = lambda *_: _refuse("DOCTYPE")
    parser.ProcessingInstructionHandler = lambda *_: _refuse("processing instruction")
    parser.StartElementHandler = start_element
    parser.EndElementHandler = lambda _: open_elements.pop()
    parser.CharacterDataHandler = add_text
    try:
        parser.Parse(content, True)  # True: no more content follows
    except (expat.ExpatError, LookupError, ValueError) as error:  # the last two: an unknown encoding
        raise LogoRefused(f"it is no SVG: {error}") from None
    if _FOREIGN.search("".join(style)):
        _refuse("foreign reference in a style")


def _refuse(what: str) -> NoReturn:
    raise LogoRefused(f"an SVG may have no {what}")


def _check_attribute(name: str, value: str) -> None:
    space, _, attribute = name.rpartition(" ")
    if space not in ("", _XLINK, "http://www.w3.org/XML/1998/namespace"):
        _refuse(f"attribute {attribute[:40]!r} of another kind")
    if attribute.lower().startswith("on") or attribute in ("src", "base"):
        _refuse(f"attribute {attribute[:40]!r}")
    if attribute == "href" and not value.startswith("#"):
        _refuse("reference to something outside")
    if _FOREIGN.search(value):
        _refuse(f"foreign reference in {attribute[:40]!r}")
