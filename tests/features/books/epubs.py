"""Books for the tests: an EPUB from its documents."""

import io
import zipfile
from collections.abc import Mapping, Sequence

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles>'
    "</container>"
)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def xhtml(body: str, attributes: str = "") -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html>\n<html xmlns="http://www.w3.org/1999/xhtml" '
        f'xmlns:epub="http://www.idpf.org/2007/ops"><head><title>x</title><style>p {{}}</style></head>'
        f"<body {attributes}>{body}</body></html>"
    )


def nav(*entries: str) -> str:
    """Return a navigation, whose entries are `path|title`, or `>path|title` one level below."""
    out, is_below = '<nav epub:type="toc"><ol>', False
    for each in entries:
        link, title = each.removeprefix(">").split("|")
        line = f'<a href="{link}">{title}</a>' if link else f"<span>{title}</span>"
        if each.startswith(">") and not is_below:
            out = out.removesuffix("</li>") + "<ol>"
        elif is_below and not each.startswith(">"):
            out += "</ol></li>"
        is_below = each.startswith(">")
        out += f"<li>{line}</li>"
    return out + ("</ol></li>" if is_below else "") + "</ol></nav>"


def ncx(*entries: str) -> str:
    points = "".join(
        f"<navPoint><navLabel><text>{title}</text></navLabel><content src='{link}'/></navPoint>"
        for link, title in (each.split("|") for each in entries)
    )
    return f'<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap>{points}</navMap></ncx>'


def package(
    spine: Sequence[str], items: str = "", meta: str = "", guide: str = "", language: str = "en"
) -> str:
    manifest = "".join(
        f'<item id="d{number}" href="{path.split("!")[0]}" media-type="application/xhtml+xml"/>'
        for number, path in enumerate(spine)
    )
    refs = "".join(
        f'<itemref idref="d{number}"{" linear=" + chr(34) + "no" + chr(34) if path.endswith("!") else ""}/>'
        for number, path in enumerate(spine)
    )
    return (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<metadata><dc:title>The Book</dc:title><dc:creator>Ana Lima</dc:creator>"
        f"<dc:language>{language}</dc:language><dc:date>2024-05-01</dc:date>{meta}</metadata>"
        f"<manifest>{manifest}{items}</manifest><spine>{refs}</spine><guide>{guide}</guide></package>"
    )


def epub(files: Mapping[str, str | bytes], **how: object) -> bytes:
    """Return an EPUB. Its documents lie in `OEBPS/`; `nav.xhtml` and `toc.ncx` are its contents if they are
    there, and all others ending in `.xhtml` are its spine. A name with `!` is not in the order."""
    spine = [name for name in files if name.rstrip("!").endswith(".xhtml") and name != "nav.xhtml"]
    items = str(how.get("items", ""))
    if "nav.xhtml" in files:
        items += '<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>'
    if "toc.ncx" in files:
        items += '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'
    language = str(how.get("language", "en"))
    opf = package(spine, items, str(how.get("meta", "")), str(how.get("guide", "")), language)
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": CONTAINER,
            "OEBPS/book.opf": opf,
            **{
                name if name.startswith("META-INF/") else f"OEBPS/{name.rstrip('!')}": data
                for name, data in files.items()
            },
        }
    )


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()
