"""The description of a language. With it, one set of rules can read every language."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
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


def day_month_year(
    first: str, cardinal: Callable[[int], str], months: Sequence[str], of: str = " "
) -> Callable[[int, int, str, bool], str]:
    """Return the function `date` of a language with the day before the month: `of` joins them."""
    return lambda day, month, year, _: of.join(
        filter(None, (first if day == 1 else cardinal(day), months[month - 1], year))
    )


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


_FORMS: dict[str, Form] = {"f ": "feminine", "n ": "alone"}
_ONE_OR_MANY = re.compile(r"\((.*?)\|(.*?)\)")


def table(text: str) -> dict[str, str]:
    """Return a table of short forms: `Dr dr = doctor; p._ex. = por exemplo`. A `_` is a blank."""
    entries = (entry.split(" = ") for entry in text.split(";"))
    return {sign.replace("_", " "): spoken.strip() for signs, spoken in entries for sign in signs.split()}


def _counted(text: str) -> tuple[str, str, Form]:
    """Return the singular, the plural and the form of a word in a table: `f hor(a|as)`."""
    form: Form = "masculine"
    if text[:2] in _FORMS:
        form, text = _FORMS[text[:2]], text[2:]
    return _ONE_OR_MANY.sub(r"\1", text), _ONE_OR_MANY.sub(r"\2", text), form


def units(text: str) -> dict[str, Unit]:
    """Return a table of units: `h = f hor(a|as)`. The mark of a form stands before it: f, or n for alone."""
    return {sign: Unit(*_counted(spoken)) for sign, spoken in table(text).items()}


def larges(text: str) -> dict[str, Large]:
    """Return a table of magnitudes, written like that of `units`. With the mark n, one is no noun."""
    counted = {sign: _counted(spoken) for sign, spoken in table(text).items()}
    return {sign: Large(one, many, form != "alone") for sign, (one, many, form) in counted.items()}


def currencies(text: str) -> dict[str, Currency]:
    """Return a table of currencies: `€ EUR = euro(|s), cent(|s)`. Some have no cents."""
    made = {}
    for sign, spoken in table(text).items():
        money, _, cent = spoken.partition(", ")
        one, many, form = _counted(money)
        made[sign] = Currency(one, many, *_counted(cent)[:2], form)
    return made


_SIGNS = (*"~≈x×=><÷", "over", "often", "per", *"²³@./-_:?&#%+")


def signs(spoken: str) -> dict[str, str]:
    """Return a table of signs from their words in the order of `_SIGNS`.

    `x` stands for `by`, `over` for the stroke of a mark (4.5/5), `often` for the x of 2x faster, and `per`
    for the stroke of 5 €/kg.
    """
    return dict(zip(_SIGNS, spoken.split("|"), strict=True))


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
    signs: Mapping[str, str]
    """What `signs` returns."""


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

    point: str = ","
    """The decimal mark."""
    thousands: str = r". \u00a0\u202f"
    """The characters that may stand between groups of three digits, as a set of a regular
    expression."""
    marks: Mapping[str, str]
    minus: str
    plus: str
    to: str
    of: str
    """The word between a million and its noun. Empty if the language says none."""
    of_year: str = ""
    """The word between a month and its year. Empty if the language says none."""
    of_a: str
    """The words between a fraction and its unit."""
    cents: str
    """The word between the money and its cents."""
    names_cents: bool = True
    """False if ten cents or more have no name behind the money: cinq euros cinquante."""
    metres: str | None = None
    """The word between the metres and centimetres of `1,80 m`. None if it is read as a decimal."""
    has_pairs: bool = False
    """True if two digits of a telephone number are read as one number."""
    elided: Callable[[str], str] = str
    """Takes the words of an amount, and returns them with the elisions of the language."""
    spells_decimals: bool = False
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
    is_one: Callable[[int, bool], bool] = lambda whole, has_decimals: whole == 1 and not has_decimals
    """Takes a whole number and whether decimals follow. True if its noun is singular."""
    form: Callable[[int, str, str], Form]
    """Takes a number, the word before it and the word behind it."""

    is_day_first: bool = True
    letter_mark: str = " "
    """What stands between letters that are said one by one."""
    domains: str = ""
    """Further endings of addresses, each after a `|`."""
    tables: Tables
    patterns: Patterns


# Those of words from the Greek, the same in both languages.
_MASCULINE_ENDINGS = (
    *("ista", "istas", "nauta", "nautas", "crata", "cratas", "iatra", "iatras", "peuta", "peutas"),
    *("grama", "gramas", "ema", "emas", "oma", "omas"),
)


class Nouns(NamedTuple):
    """The nouns of a language with two genders, as far as numbers agree with them."""

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


def regular(singulars: str) -> frozenset[str]:
    """Return the nouns with their plurals in s."""
    return frozenset(noun + plural for noun in singulars.split() for plural in ("", "s"))


def with_plurals(singulars: str, plurals: str) -> frozenset[str]:
    return words(singulars) | words(plurals)
