"""The files of the console: read once, compressed once, and served from memory."""

from __future__ import annotations

import asyncio
import hashlib
import re
from functools import cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import msgspec

from proxy.http.replies import Compressed

_WEB = Path(__file__).with_name("web")
_SHELL = "shell.html"
_HEAD = "head.js"
"""The script in the head of the shell. It loads the modules of the first page."""
_FIRST = ("core/frame.js", "pages/speak.js")
"""The modules of the first page. A browser fetches these, and all that they import, at once."""
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
}
_TEXTS, _LATER = "texts/", "texts/later/"
_IMPORT = re.compile(r"""^(?:import|export)\b[^"'`;]*?["'](\.{1,2}/[^"']+)["']""", re.MULTILINE)
_TEXT_USE = re.compile(r"""["'`]([^"'`.]*)\.""")
"""The beginning of a string up to its first point, such as the page of a text's key."""
_VENDOR_IMPORT = re.compile(r"""(?:import|from)\s*["'](\.{1,2}/[^"']+)["']""")
"""Vendor files are minified, so an import may stand anywhere in a line."""


class Console(NamedTuple):
    """`shell` is the HTML document, with places for what a visitor sees. `files` has the others by their
    path. `build` is a hash of all."""

    build: str
    shell: str
    files: dict[str, Compressed]


async def open_console() -> Console:
    """Return the files of this version. To read and compress them takes too long for the event loop."""
    return console() if console.cache_info().currsize else await asyncio.to_thread(console)


@cache
def console() -> Console:
    contents = {
        path.relative_to(_WEB).as_posix(): path.read_bytes()
        for path in sorted(_WEB.rglob("*"))
        if path.suffix in _TYPES
    }
    head = contents[_HEAD].decode()
    first_names = first_modules(contents)
    modules = msgspec.json.encode(first_names).decode()
    contents |= _split_texts(contents, "".join([contents[name].decode() for name in first_names]))
    contents[_HEAD] = head.replace("const MODULES = [];", f"const MODULES = {modules};").encode()
    shell = (_WEB / _SHELL).read_text()
    digest = hashlib.sha256(shell.encode())
    for name, content in contents.items():
        digest.update(name.encode() + b"\0" + content + b"\0")
    build = digest.hexdigest()[:16]
    files = {
        name: Compressed.compress(_TYPES[PurePosixPath(name).suffix], content)
        for name, content in contents.items()
    }
    return Console(build, shell.replace("BUILD", build), files)


def first_modules(contents: dict[str, bytes]) -> list[str]:
    """Return the modules of the first page, with all that they import. The order is that of a breadth-first
    search."""
    found: list[str] = []
    waiting = list(_FIRST)
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found.append(name)
            waiting += _imports(name, contents[name].decode())
    return found


def _split_texts(contents: dict[str, bytes], first: str) -> dict[str, bytes]:
    """Return the texts that the first modules can show, and apart those of pages that are loaded later. The
    texts of a page begin with its name."""
    split: dict[str, bytes] = {}
    shown_pages = set(_TEXT_USE.findall(first))
    for name, content in contents.items():
        if name.startswith(_TEXTS):
            texts: dict[str, str] = msgspec.json.decode(content)
            later = {key: text for key, text in texts.items() if key.partition(".")[0] not in shown_pages}
            at_once = {key: text for key, text in texts.items() if key not in later}
            split[name] = msgspec.json.encode(at_once)
            split[name.replace(_TEXTS, _LATER)] = msgspec.json.encode(later)
    return split


def _imports(name: str, text: str) -> list[str]:
    pattern = _VENDOR_IMPORT if name.startswith("vendor/") else _IMPORT
    folder = PurePosixPath("/", name).parent
    return [_resolved(folder, each) for each in pattern.findall(text)]


def _resolved(folder: PurePosixPath, relative: str) -> str:
    parts = list(folder.parts[1:])
    for part in relative.split("/"):
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)
