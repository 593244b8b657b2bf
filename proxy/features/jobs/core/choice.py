"""The chapters that a request chooses: `2-14,16`."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta

from proxy.errors import InvalidRequest

Only = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*\Z",
        max_length=2000,
        description="numbers of chapters, such as 2-14,16",
    ),
]
_MOST_DIGITS = 9
_PART = re.compile(r"([0-9]+)(?:-([0-9]+))?")


def chosen_chapters(only: str, chapters: int) -> list[int]:
    """Return the numbers of the chosen chapters, the first of which is 1. Raises InvalidRequest."""
    mask = 0
    for first_text, last_text in _PART.findall(only):
        first, last = _number(first_text), _number(last_text or first_text)
        if not 1 <= first <= last <= chapters:
            part = f"{first_text}-{last_text}" if last_text else first_text
            has = f"has {chapters} chapters" if chapters else "has no chapters"
            raise InvalidRequest(
                f"Invalid value for 'only': the text {has}, and {part[:40]} is not among them.",
                param="only",
                code="chapter_not_found",
            )
        # A number may be named very often.
        mask |= ((1 << (last - first + 1)) - 1) << first
    return [number for number in range(1, chapters + 1) if mask >> number & 1]


def _number(text: str) -> int:
    return int(text.lstrip("0")[: _MOST_DIGITS + 1] or "0")
