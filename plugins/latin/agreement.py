"""The form that a noun of Portuguese or Spanish gives to the number before it.

If no noun follows, the form is `alone`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from plugins.latin.language import Form

# Those of words from the Greek, the same in both languages.
_MASCULINE_ENDINGS = (
    *("ista", "istas", "nauta", "nautas", "crata", "cratas", "iatra", "iatras", "peuta", "peutas"),
    *("grama", "gramas", "ema", "emas", "oma", "omas"),
)


class Nouns(NamedTuple):
    feminine_endings: tuple[str, ...]
    feminine: Collection[str]
    """Feminine nouns with another ending."""
    masculine: Collection[str]
    """Nouns that take a masculine number, although they end like a feminine noun. Those of
    `_MASCULINE_ENDINGS` need not be here."""
    feminine_articles: Collection[str]
    """Articles that stand only before feminine nouns. They tell the form without a noun
    too: `a las 21`."""
    masculine_articles: Collection[str]
    others: Collection[str]
    """Words that are no nouns."""
    labels: Collection[str]
    """Nouns that stand before their number. The number is then a name: `página 1`."""


def agreement(nouns: Nouns) -> Callable[[int, str, str], Form]:
    def form(number: int, before: str, after: str) -> Form:
        if before in nouns.feminine_articles:
            return "feminine"
        gender = by_noun(number, before, after)
        return "masculine" if gender == "feminine" and before in nouns.masculine_articles else gender

    def by_noun(number: int, before: str, after: str) -> Form:
        if not after or after in nouns.others or before in nouns.labels:
            return "alone"
        if number != 1 and not after.endswith(("s", "mil")):
            return "alone"
        if after in nouns.feminine:
            return "feminine"
        if after in nouns.masculine or after.endswith(_MASCULINE_ENDINGS):
            return "masculine"
        return "feminine" if after.endswith(nouns.feminine_endings) else "masculine"

    return form


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def with_plurals(singulars: str, plurals: str) -> frozenset[str]:
    return words(singulars) | words(plurals)
