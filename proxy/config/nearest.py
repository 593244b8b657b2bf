"""A name that nobody knows: which one was meant, or which there are."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The one that was probably meant, if any is like it."""
    return next(iter(difflib.get_close_matches(name, list(known), 1)), None)


def hint(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = nearest(name, names)
    return f"did you mean {near}?" if near else f"known: {', '.join(names) or 'none'}"
