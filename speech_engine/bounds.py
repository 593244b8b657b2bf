"""The bounds of a message from another machine. Each text, list and map of it has one, so that no message
costs its decoder much memory.

Texts that are made here are cut before they are sent, so that a long one is no error at the other side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

import msgspec

M = TypeVar("M")

MOST_SHOWN = 1024
"""The characters of a peer's text that are kept, logged and shown."""

Line = Annotated[str, msgspec.Meta(max_length=MOST_SHOWN)]
"""A name, an id or an address."""
Text = Annotated[str, msgspec.Meta(max_length=65_536)]
"""A reason or a description. It is `cut` before it is kept."""

MOST_TEXTS = 1000
"""The short texts of one question."""

MOST_JOBS = 4096
"""The calls of one process at the same time."""


def cut(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"


def decoded(decode: Callable[[bytes], M], data: bytes) -> M:
    """Decode a message. Raises ValueError with a short reason if the bytes are no such message."""
    try:
        return decode(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(cut(str(error))) from None
