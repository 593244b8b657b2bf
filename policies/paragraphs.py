"""The paragraphs of a text: a blank line, a heading, or an item of a list begins the next one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

_HEADING = re.compile(r"[ \t]*#{1,6}[ \t]+\S")
_ITEM = re.compile(r"[ \t]*(?:[-*+\u2022]|\d{1,3}[.)])[ \t]+\S")


def paragraph_starts(text: str) -> Iterator[int]:
    """Yield the places in a text, with its Markdown, where a line begins a paragraph."""
    at, before = 0, ""
    for line in text.splitlines(keepends=True):
        ends_paragraph = not before.strip() or _HEADING.match(before)
        if at and (ends_paragraph or _HEADING.match(line) or _ITEM.match(line)):
            yield at
        at, before = at + len(line), line


def paragraph_ranges(text: str, starts: Iterable[int]) -> list[tuple[int, int]]:
    """Return the ranges of a text between these places. A range without a letter or digit is joined to the
    range before it, or at the beginning of the text to the next one."""
    ranges: list[tuple[int, int]] = []
    has_words = False
    for begin, end in pairwise((0, *starts, len(text))):
        is_read = any(map(str.isalnum, text[begin:end]))
        if ranges and not (is_read and has_words):
            ranges[-1] = ranges[-1][0], end
        else:
            ranges.append((begin, end))
        has_words = has_words or is_read
    return ranges
