"""What the three languages' numbers are made of: counts of a thousand, a million and so on."""

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
    """How often each of these, the largest first, is in the number; what is in it never is left out."""
    for scale in scales:
        count, number = divmod(number, scale.size)
        if count:
            yield count, scale


def in_order(words: str) -> tuple[str, ...]:
    """A table of words by number, or by month; `-` stands where there is none."""
    return tuple(words.split())
