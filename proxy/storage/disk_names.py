"""Names of files: the type for texts of rows, journals and archives that become parts of paths.

A database may come from a stranger: a backup sent by mail, a row written by hand. So each text that becomes a
path goes through `DiskName`, when a backup is restored and when a path is made.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import structlog

from proxy.storage.store import StorageFailed

OPERATOR = "operator"
"""The folder of the operator's files."""
ERASURES, ANSWERS = "erasures", "answers"
"""The folders of a shared vault that have no recordings: the journal of erasures, and stored answers."""
NO_ACCOUNTS = (OPERATOR, ERASURES, ANSWERS)
"""No account can have one of these ids."""

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}", re.ASCII)
_SHOWN_CHARACTERS = 100

_log = structlog.get_logger()


class UnsafeName(StorageFailed):
    """A text that cannot name a file here. The message shows it: names are no secrets."""


class DiskName(str):
    """The name of one file or folder: letters, digits, `-` and `_`, so it never leads out of its folder.

    It has no dot, so it cannot be one of the files that we make beside others: locks, parts and marks.
    """

    __slots__ = ()

    def __new__(cls, text: object) -> Self:
        """Raise UnsafeName for any other value, of any type: a hostile column may have each."""
        if not isinstance(text, str) or not _SAFE_NAME.fullmatch(text):
            raise UnsafeName(f"{ascii(text)[:_SHOWN_CHARACTERS]} cannot name a file")
        return super().__new__(cls, text)


def account_name(id_: object) -> DiskName:
    """Return the id of an account as the name of its folder. Raise UnsafeName."""
    name = DiskName(id_)
    if name in NO_ACCOUNTS:
        raise UnsafeName(f"{str(name)!r} cannot name a file of an account")
    return name


def owner_name(owner: object) -> DiskName:
    """Return the folder of an account; "" is the operator. Raise UnsafeName."""
    return DiskName(OPERATOR) if owner == "" else account_name(owner)


def safe_names(texts: Iterable[object]) -> list[DiskName]:
    """Return the texts that can name a file. The others are logged and left out."""
    names = []
    for text in texts:
        try:
            names.append(DiskName(text))
        except UnsafeName as unsafe:
            _log.warning("storage.name.unsafe", reason=str(unsafe))
    return names


def flush(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
