"""English of America and of other countries."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from plugins.latin.english.patterns import MONTHS, PATTERNS
from plugins.latin.english.tables import TABLES
from plugins.latin.language import Form, Language, Tables, Time
from speech_engine.text import english_numbers as numbers

_AMERICAN = frozenset(("", "US", "PH", "PR"))
_UNDER = {2: "half", 4: "quarter"}
_MOST_UNDER = 100


def english(region: str) -> Language:
    return _english(region in _AMERICAN, region == "NG")


@cache
def _english(is_american: bool, is_nigerian: bool) -> Language:
    def cardinal(number: int, form: Form = "alone") -> str:
        del form
        return numbers.american(number) if is_american else numbers.british(number)

    def ordinal(number: int, form: Form = "alone") -> str:
        del form
        return numbers.ordinal_of(cardinal(number))

    def date(day: int, month: int, year: str, day_first: bool) -> str:
        if day_first:
            return f"the {ordinal(day)} of {MONTHS[month - 1]} {year}".rstrip()
        return f"{MONTHS[month - 1]} {ordinal(day)}" + (f", {year}" if year else "")

    def fraction(over: int, under: int, form: Form) -> str | None:
        del form
        if under > _MOST_UNDER:
            return None
        name = _UNDER.get(under) or ordinal(under)
        return f"{cardinal(over)} {name}{'s' if over > 1 else ''}"

    return Language(
        point=".",
        thousands=r",\u00a0\u202f",
        marks={".": "point", ",": "point"},
        minus="minus",
        plus="plus",
        to="to",
        of="",
        of_a="of a",
        cents="and",
        spells_decimals=True,
        cardinal=cardinal,
        ordinal=ordinal,
        year=lambda year: numbers.year(year, cardinal(year)),
        date=date,
        clock=_clock,
        until=lambda _: "to",
        fraction=fraction,
        mixed=_mixed,
        is_one=lambda whole, has_decimals: whole == 1 and not has_decimals,
        form=lambda number, before, after: "alone",
        day_first=not is_american,
        tables=_nigerian() if is_nigerian else TABLES,
        patterns=PATTERNS,
    )


def _nigerian() -> Tables:
    """Return the tables of Nigeria. A plain N is the sign of the naira, but `N95` is a mask."""
    currencies = {**TABLES.currencies, "N": TABLES.currencies["NGN"]}
    return replace(TABLES, currencies=currencies, words={**TABLES.words, "N95": "N ninety-five"})


def _clock(time: Time) -> str:
    hour, half = numbers.american(time.hour), f" {time.half.upper()}M" if time.half else ""
    if time.second is not None:
        seconds = numbers.american(time.second)
        return f"{hour} {numbers.american(time.minute)} and {seconds} seconds{half}"
    if time.minute:
        return f"{hour} {'oh ' if time.minute < 10 else ''}{numbers.american(time.minute)}{half}"
    if half:
        return f"{hour}{half}"
    return f"{hour} o'clock" if 1 <= time.hour <= 12 else f"{hour} hundred"


def _mixed(number: str, fraction: str, noun: str) -> str:
    fraction = f"a {fraction.removeprefix('one ')}" if fraction.startswith("one ") else fraction
    return f"{number} and {fraction} {noun}".rstrip()
