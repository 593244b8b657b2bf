"""The description of a language. With it, one set of rules can read every language."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

from speech_engine.text.draft import Draft

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
    return f"{word[:-2]}as" if word.endswith("os") else f"{word[:-1]}a"


Form = Literal["alone", "masculine", "feminine"]
"""The form of a number: alone (Spanish `uno`), or in agreement with its noun (`un`, `una`)."""

Rule = Callable[[Draft], None]

T = TypeVar("T")


class Currency(NamedTuple):
    one: str
    many: str
    cent: str
    cents: str
    form: Form = "masculine"


class Unit(NamedTuple):
    one: str
    many: str
    form: Form = "masculine"


class Large(NamedTuple):
    """A written magnitude. If it is a noun (`milhão`), the number agrees with it,
    and an `of` follows."""

    one: str
    many: str
    is_noun: bool = True


def by_sign(words: Mapping[str, T]) -> dict[str, T]:
    """Return a table of signs from one that has all signs of a thing in one key, with blanks between."""
    return {sign: spoken for signs, spoken in words.items() for sign in signs.split()}


class Time(NamedTuple):
    """A time of day. If the text has AM or PM, `half` is `a` or `p`. If it has an `h`, `has_hours`
    is true."""

    hour: int
    minute: int
    second: int | None = None
    half: str = ""
    has_hours: bool = False


class Roman(NamedTuple):
    """A place in which a Roman numeral can be nothing else, and the way to read the numeral there.

    The numeral is the group `roman` of the pattern.
    """

    pattern: re.Pattern[str]
    spoken: Callable[[Language, int], str]


@dataclass(frozen=True, eq=False, kw_only=True)
class Tables:
    """Written short forms, with the words for each."""

    currencies: Mapping[str, Currency]
    larges: Mapping[str, Large]
    units: Mapping[str, Unit]
    words: Mapping[str, str]
    """Words that are said otherwise than they are written, in every place."""
    titles: Mapping[str, str]
    """Abbreviations (without their last full stop) that never end a sentence."""
    closings: Mapping[str, str]
    """Abbreviations (without their last full stop) that end a sentence if a sentence begins behind
    them."""
    labels: Mapping[str, str]
    """Abbreviations that count only before a number. If they have a full stop, it is in the key."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Patterns:
    month_names: Mapping[str, int]
    dates: tuple[re.Pattern[str], ...]
    """Dates with the name of a month. The groups are `day`, `month` and `year`."""
    date_cue: re.Pattern[str]
    """A cue that ends before a day and a month without a year. Without the cue they would be a
    fraction."""
    year_cue: re.Pattern[str] | None = None
    """A cue that ends before a year. None if the language reads years like other numbers."""
    hour_mark: str = "h"
    """The mark that stands for `:` in `14h30`. Empty if the language has none."""
    ordinals: Mapping[str, Form]
    """The endings that make an ordinal of a number, and the form of each."""
    singular_after: Collection[str] = ()
    """Words that keep a unit in the singular if a noun follows: `a five mile run`."""
    romans: tuple[Roman, ...]
    spelled: tuple[re.Pattern[str], ...]
    """Numbers that are read digit by digit. If a pattern has a group `number`, only that
    group counts."""
    own: tuple[Rule, ...] = ()
    """Rules that no other language has. They run before the shared rules."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Language:
    """A way to read a language aloud: its words, and a few pure functions that put them
    together."""

    point: str
    """The decimal mark."""
    thousands: str
    """The characters that may stand between groups of three digits, as a set of a regular
    expression."""
    marks: Mapping[str, str]
    minus: str
    plus: str
    to: str
    of: str
    """The word between a million and its noun. Empty if the language says none."""
    of_a: str
    """The words between a fraction and its unit."""
    cents: str
    """The word between the money and its cents."""
    spells_decimals: bool
    """True if the decimals are read digit by digit."""

    cardinal: Callable[[int, Form], str]
    ordinal: Callable[[int, Form], str]
    year: Callable[[int], str]
    date: Callable[[int, int, str, bool], str]
    """Takes the day, the month, the year in words (or an empty text), and whether the day was
    written first."""
    clock: Callable[[Time], str]
    until: Callable[[Time], str]
    """Takes the second time of a range, and returns the word before it."""
    fraction: Callable[[int, int, Form], str | None]
    mixed: Callable[[str, str, str], str]
    """Takes a number, a fraction, and the noun behind them (or an empty text)."""
    is_one: Callable[[int, bool], bool]
    """Takes a whole number and whether decimals follow. True if its noun is singular."""
    form: Callable[[int, str, str], Form]
    """Takes a number, the word before it and the word behind it."""

    day_first: bool
    tables: Tables
    patterns: Patterns


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
