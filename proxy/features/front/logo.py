"""The operator's logo, a small picture. It is shown in <img>, and a policy lets it run and fetch nothing."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

MOST_BYTES = 64 * 1024
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Logo(NamedTuple):
    media: str
    content: bytes


class LogoRefused(Exception):
    """The file is no logo. The message says why."""


def read_logo(path: Path) -> Logo:
    """Return the logo in a file, by the ending of its name. Raises LogoRefused."""
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
    is_png = path.suffix == ".png"
    if is_png != content.startswith(_SIGNATURE):
        raise LogoRefused(f"it is {'no' if is_png else 'a'} PNG")
    return Logo("image/png" if is_png else "image/svg+xml", content)
