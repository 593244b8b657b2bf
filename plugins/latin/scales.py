"""The parts of numbers: counts of a thousand, a million and so on, and their feminine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

THOUSAND = 1000
MILLION = 10**6


class Scale(NamedTuple):
    size: int
    one: str
    many: str

    def named(self, count: int) -> str:
        return self.one if count == 1 else self.many


def counts(number: int, scales: tuple[Scale, ...]) -> Iterator[tuple[int, Scale]]:
    """Yield the scales of the number with their counts, the largest first, without zero counts."""
    for scale in scales:
        count, number = divmod(number, scale.size)
        if count:
            yield count, scale


def in_order(words: str) -> tuple[str, ...]:
    """Return a table of words by number, or by month. A `-` fills the place of a
    number without a word."""
    return tuple(words.split())


def feminine(word: str) -> str:
    """Return the feminine of a number's word that ends in `o` or `os`."""
    return f"{word[:-2]}as" if word.endswith("os") else f"{word[:-1]}a"
