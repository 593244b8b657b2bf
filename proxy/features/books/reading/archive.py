"""The zip of an EPUB. Its members are bounded, and each is read when it is needed."""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from proxy.features.books.reading.book import UnusableBook

MOST_MEMBERS = 5_000
MOST_UNPACKED_BYTES = 256 * 1024 * 1024
MOST_TEXT_BYTES = 8 * 1024 * 1024
_ENCRYPTED_FLAG = 1


class Archive:
    """The members of a zip by their names. Nothing else is opened. Raises UnusableBook."""

    def __init__(self, file: BinaryIO) -> None:
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
            raise UnusableBook("it is no EPUB, which is a zip") from None
        members = self._zip.infolist()
        if len(members) > MOST_MEMBERS:
            raise UnusableBook(f"it has more than {MOST_MEMBERS:,} files")
        if sum(each.file_size for each in members) > MOST_UNPACKED_BYTES:
            raise UnusableBook(f"unpacked it has more than {MOST_UNPACKED_BYTES >> 20} MiB")
        self._members = {each.filename: each for each in members}
        if len(self._members) < len(members):
            raise UnusableBook("it has two files with the same name")
        if any(each.flag_bits & _ENCRYPTED_FLAG for each in members):
            raise UnusableBook("its zip is encrypted")

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def read(self, name: str, most_bytes: int = MOST_TEXT_BYTES) -> bytes:
        """Return the bytes of a member. Raises UnusableBook."""
        try:
            with self._zip.open(self._members[name]) as member:
                data = member.read(most_bytes + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError):
            raise UnusableBook(f"its file {name[:100]!r} is damaged") from None
        if len(data) > most_bytes:
            raise UnusableBook(f"its file {name[:100]!r} has more than {most_bytes >> 20} MiB")
        return data


def resolve_link(base: str, link: str) -> tuple[str, str]:
    """Return the member that a link in the member `base` leads to, and its fragment. The member is empty if
    the link leaves the book."""
    try:
        parts = urlsplit(link.strip())
    except ValueError:
        return "", ""
    if parts.scheme or parts.netloc:
        return "", ""
    path = unquote(parts.path)
    if not path:
        return base, unquote(parts.fragment)
    name = posixpath.normpath(posixpath.join(posixpath.dirname(base), path))
    return ("" if name.startswith(("/", "..")) else name), unquote(parts.fragment)
