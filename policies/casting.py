"""The names of a cast: which may be, and when two are the same. `text_tags` reads its turns."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

MOST_NAMES = 16
MOST_CHARACTERS = 64
"""The most characters of a name."""

_UNUSABLE = re.compile(r"[\[\]\x00-\x1f\x7f]")


def key(name: str) -> str:
    """Return the form by which names are compared: `[ANA]` is Ana too."""
    return unicodedata.normalize("NFC", " ".join(name.split())).casefold()


def fault(names: Sequence[str]) -> str | None:
    """Return what is wrong with these names as a cast, or None."""
    if not 1 <= len(names) <= MOST_NAMES:
        return f"it must have 1 to {MOST_NAMES} names; it has {len(names)}"
    for name in names:
        if not key(name) or len(name) > MOST_CHARACTERS or _UNUSABLE.search(name):
            return (
                f"a name must have 1 to {MOST_CHARACTERS} characters, and no brackets or control characters"
            )
    if len({key(name) for name in names}) < len(names):
        return "its names must differ by more than capital letters and blanks"
    return None
