"""What a language has to say about itself, so that one set of rules can read all of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from speech_engine.text.draft import Draft

Form = Literal["alone", "masculine", "feminine"]
"""How a number agrees: with nothing (Spanish `uno`), or with the noun it stands before (`un`, `una`)."""

Rule = Callable[[Draft], None]


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
    """A written magnitude. With one that is a noun (`milhão`) the number agrees, and it takes an `of`."""

    one: str
    many: str
    is_noun: bool = True


class Time(NamedTuple):
    """`half` is `a` or `p` where the text has AM or PM; `has_hours` where it has an `h`."""

    hour: int
    minute: int
    second: int | None = None
    half: str = ""
    has_hours: bool = False


class Roman(NamedTuple):
    """Where a numeral can be nothing else (a group `roman`), and how it is read there."""

    pattern: re.Pattern[str]
    spoken: Callable[[Language, int], str]


@dataclass(frozen=True, eq=False, kw_only=True)
class Tables:
    """What is written short → what is said."""

    currencies: Mapping[str, Currency]
    larges: Mapping[str, Large]
    units: Mapping[str, Unit]
    words: Mapping[str, str]
    """Said otherwise than written, wherever they stand."""
    titles: Mapping[str, str]
    """Abbreviations (without their last full stop) that never end a sentence."""
    closings: Mapping[str, str]
    """Those that do, where one begins behind them."""
    labels: Mapping[str, str]
    """Those that are such only before a number; with their full stop, where they have one."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Patterns:
    """What to look for, where more than a table's key tells what it is."""

    month_names: Mapping[str, int]
    dates: tuple[re.Pattern[str], ...]
    """Written with a month's name; groups `day`, `month` and `year`."""
    date_cue: re.Pattern[str]
    """Ends before a day and a month without a year, which would else be a fraction."""
    year_cue: re.Pattern[str] | None = None
    """Ends before a year; None where years are read like other numbers."""
    hour_mark: str = "h"
    """What stands for `:` in `14h30`; empty where nothing does."""
    ordinals: Mapping[str, Form]
    """The endings that make an ordinal of a number."""
    singular_after: Collection[str] = ()
    """Words that keep a unit in the singular, where a noun follows: `a five mile run`."""
    romans: tuple[Roman, ...]
    spelled: tuple[re.Pattern[str], ...]
    """Numbers read digit by digit; where there is a group `number`, only that."""
    own: tuple[Rule, ...] = ()
    """Rules that no other language has; they come before the others."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Language:
    """A way to read a language out: its words, and a few pure functions that put them together."""

    point: str
    """The decimal mark."""
    thousands: str
    """What may stand between groups of three digits, as a regular expression's set."""
    marks: Mapping[str, str]
    minus: str
    plus: str
    to: str
    of: str
    """Between a million and what is counted; empty where nothing is said."""
    of_a: str
    """Between a fraction and its unit."""
    cents: str
    """Between the money and its cents."""
    spells_decimals: bool
    """Whether what follows the decimal mark is read digit by digit."""

    cardinal: Callable[[int, Form], str]
    ordinal: Callable[[int, Form], str]
    year: Callable[[int], str]
    date: Callable[[int, int, str, bool], str]
    """Of day, month, the year's words (or none), and whether the day was written first."""
    clock: Callable[[Time], str]
    until: Callable[[Time], str]
    """Before the second time of a range."""
    fraction: Callable[[int, int, Form], str | None]
    mixed: Callable[[str, str, str], str]
    """Of a number, a fraction and the noun behind them, or an empty one."""
    is_one: Callable[[int, bool], bool]
    """Whether a noun stands in the singular after this whole number, with decimals or without."""
    form: Callable[[int, str, str], Form]
    """Of a number between these two words."""

    day_first: bool
    tables: Tables
    patterns: Patterns
