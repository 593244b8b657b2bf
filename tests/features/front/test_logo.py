"""Logos: what is a picture and no more, and what is refused."""

import os
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.features.front.logo import LogoRefused, check_svg, checked_png, read_logo
from tests.tables import each_row

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path fill="#123" d="M1 1h7v7z"/>{more}</svg>'
)


def chunk(name: bytes, data: bytes = b"") -> bytes:
    return len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4)


def header(width: int = 8, height: int = 8, depth: int = 8, colour: int = 6, interlaced: int = 0) -> bytes:
    return chunk(b"IHDR", width.to_bytes(4) + height.to_bytes(4) + bytes((depth, colour, 0, 0, interlaced)))


def pixels(size: int = 8 * (1 + 8 * 4)) -> bytes:
    return chunk(b"IDAT", zlib.compress(bytes(size)))


END = chunk(b"IEND")
GOOD = SIGNATURE + header() + pixels() + END


def test_a_png_is_served_without_what_is_no_pixel() -> None:
    noted = SIGNATURE + header() + chunk(b"tEXt", b"Comment\0who made it") + pixels() + END
    assert checked_png(noted) == GOOD
    parts = [b"".join((SIGNATURE, header(interlaced=1), pixels(8 * 8 * 4 + 15), END))]
    assert [checked_png(each) for each in parts] == parts


@each_row(
    ("name", "content"),
    [
        ("no PNG", b"GIF89a"),
        ("a second header", SIGNATURE + header() + header(1, 1) + pixels() + END),
        ("no end", SIGNATURE + header() + pixels()),
        ("something after the end", GOOD + b"<script>"),
        ("a chunk after the end", GOOD + pixels()),
        ("cut off", GOOD[:-6]),
        ("a wrong checksum", GOOD[:-1] + b"\0"),
        ("too wide", SIGNATURE + header(30_000, 30_000) + pixels() + END),
        ("nothing", SIGNATURE + header(0, 8) + pixels() + END),
        ("more pixels than it says", SIGNATURE + header() + pixels(50_000_000) + END),
        ("fewer pixels than it says", SIGNATURE + header() + pixels(10) + END),
        ("no such depth", SIGNATURE + header(depth=3) + pixels() + END),
        ("no palette", SIGNATURE + header(colour=3) + pixels(8 * 9) + END),
        ("no pixels", SIGNATURE + header() + END),
        ("pixels first", SIGNATURE + pixels() + header() + END),
    ],
)
def test_a_harmful_png_is_refused(name: str, content: bytes) -> None:
    with pytest.raises(LogoRefused):
        checked_png(content)
    assert name


@given(st.binary(max_size=200), st.integers(0, len(GOOD)))
def test_no_bytes_do_more_than_be_refused(odd: bytes, at: int) -> None:
    for content in (odd, GOOD[:at] + odd + GOOD[at:]):
        try:
            assert checked_png(content).startswith(SIGNATURE)
        except LogoRefused:
            continue
    try:
        check_svg(odd)
    except LogoRefused:
        return


@each_row(
    "more",
    [
        "",
        "<style>.a { fill: url(#b) } </style>",
        '<linearGradient id="b"><stop offset="1" stop-color="red"/></linearGradient><g fill="url(\'#b\')"/>',
        "<title>A &amp; B</title><text>Lumen</text>",
        '<radialGradient id="c" xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="#b"/>',
    ],
)
def test_a_drawing_is_a_logo(more: str) -> None:
    check_svg(SVG.replace("{more}", more).encode())


@each_row(
    "content",
    [
        *(
            SVG.replace("{more}", more)
            for more in (
                "<script>alert(1)</script>",
                '<g onload="alert(1)"/>',
                '<g ONLOAD="alert(1)"/>',
                "<foreignObject/>",
                '<image href="https://evil.test/a.png"/>',
                '<image href="data:image/png;base64,AAAA"/>',
                '<use href="https://evil.test/a.svg#b"/>',
                '<g xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="https://evil.test/"/>',
                '<g href="//evil.test/"/>',
                '<a href="javascript:alert(1)"/>',
                '<g fill="url(https://evil.test/a)"/>',
                '<g style="fill: url( &quot;//evil.test&quot; )"/>',
                '<g style="fill: u\\72l(//evil.test)"/>',
                "<style>@import 'https://evil.test/a.css';</style>",
                "<style>.a { fill: url(https://evil.test/) }</style>",
                "<style>.a { fill: ur<!-- -->l(https://evil.test/) }</style>",
                "<style><![CDATA[.a { background: image-set('a' 1x) }]]></style>",
                '<animate attributeName="href" to="javascript:alert(1)"/>',
                '<set attributeName="onload" to="alert(1)"/>',
                '<iframe xmlns="http://www.w3.org/1999/xhtml" src="https://evil.test/"/>',
                '<g xml:base="https://evil.test/"/>',
                '<?xml-stylesheet href="https://evil.test/a.css"?>',
            )
        ),
        "<!DOCTYPE svg>" + SVG.replace("{more}", ""),
        '<!DOCTYPE svg [<!ENTITY a "b">]>' + SVG.replace("{more}", "&a;"),
        '<!DOCTYPE svg SYSTEM "https://evil.test/a.dtd">' + SVG.replace("{more}", ""),
        SVG.replace("{more}", "&a;"),
        '<html xmlns="http://www.w3.org/1999/xhtml"/>',
        '<g xmlns="http://www.w3.org/2000/svg"/>',
        "<svg/>",
        '<?xml version="1.0" encoding="nonsense"?>' + SVG.replace("{more}", ""),
        '<?xml version="1.0" encoding="shift_jis"?>' + SVG.replace("{more}", ""),
        "",
        "<svg",
    ],
)
def test_a_drawing_that_could_do_more_is_refused(content: str) -> None:
    with pytest.raises(LogoRefused):
        check_svg(content.encode())


def test_a_logo_is_a_small_file_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "logo.png"
    file.write_bytes(GOOD)
    assert read_logo(file).content == GOOD
    (tmp_path / "drawn.svg").write_text(SVG.replace("{more}", ""))
    assert read_logo(tmp_path / "drawn.svg").media == "image/svg+xml"
    (tmp_path / "link.png").symlink_to(file)
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "large.png").write_bytes(GOOD + bytes(65 * 1024))
    os.mkfifo(tmp_path / "pipe.png")
    for name in ("link.png", "folder.png", "large.png", "pipe.png", "none.png"):
        with pytest.raises(LogoRefused):
            read_logo(tmp_path / name)
