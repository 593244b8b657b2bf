"""Dates in figures, and dates with the name of a month."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from plugins.latin.amounts import INNER_STOP, LEFT, RIGHT, SPACE, one_of
from plugins.latin.language import Language, Rule
from speech_engine.text.draft import Draft

_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ISO = re.compile(rf"{LEFT}(?P<year>[0-9]{{4}})-(?P<month>[0-9]{{2}})-(?P<day>[0-9]{{2}}){RIGHT}")
# A name may stand once in a pattern: `second_` and `year_` are of strokes with a short year or none.
_FIGURES = re.compile(
    rf"{LEFT}(?P<first>[0-9]{{1,2}})"
    r"(?:(?P<mark>[/.-])(?P<second>[0-9]{1,2})(?P=mark)(?P<year>[0-9]{4})"
    r"|/(?P<second_>[0-9]{1,2})(?:/(?P<year_>[0-9]{2}))?)"
    r"(?![\w/]|[.,:−–-][0-9])"
)
# No month takes an article, so this `mar` is the sea: Fui ao mar. 2020 foi assim.
_NOT_AT_SEA = r"(?<!\bo )(?<!\bO )(?<!\b(?:[Aa]l|[Aa]o|do|no|[Ee]l) )(?<!\bdel )"
_IS_SHARED = re.compile(r" (?:du|des?|del|dei|della|do|da)\b")
_CUE_REACHES = 12
_WORD_BEFORE = re.compile(r"(\w+) $")


class _Date(NamedTuple):
    day: int
    month: int
    year: str
    """The year as it is written, or an empty text."""
    is_day_first: bool

    @property
    def exists(self) -> bool:
        return 1 <= self.month <= 12 and 1 <= self.day <= _DAYS[self.month - 1]


def rule(language: Language) -> Rule:
    short = _short_months(language)

    def of_iso(match: re.Match[str]) -> str | None:
        date = _Date(int(match["day"]), int(match["month"]), match["year"], language.is_day_first)
        return _spoken(date, match, language)

    def of_figures(match: re.Match[str]) -> str | None:
        first, second = int(match["first"]), int(match["second"] or match["second_"])
        year = match["year"] or match["year_"] or ""
        if not year and not _is_date(match, first, second, language):
            return None
        day, month = (first, second) if language.is_day_first else (second, first)
        if month > 12:  # only the order of other countries is possible
            day, month = month, day
        return _spoken(_Date(day, month, year, language.is_day_first), match, language)

    def of_words(match: re.Match[str]) -> str | None:
        month = language.patterns.month_names[match["month"].lower()]
        is_day_first = match.start("day") < match.start("month")
        return _spoken(_Date(int(match["day"]), month, match["year"] or "", is_day_first), match, language)

    def decide(draft: Draft) -> None:
        draft.rewrite(_ISO, of_iso)
        draft.rewrite(_FIGURES, of_figures)
        for pattern in language.patterns.dates:
            draft.rewrite(pattern, of_words)
        draft.rewrite(short, lambda match: _month(match, language))

    return decide


def weekdays(days: Mapping[str, str], to: str, months_of: Mapping[str, int], joins: str) -> Rule:
    """Return the rule for short weekdays: from one to another, or before a date. `joins` is the
    pattern of the words between two days; `to` stands for a dash."""
    short = {**{written.capitalize(): day for written, day in days.items()}, **days}
    day = one_of(short)
    words = rf"|\.? (?P<join>{joins}) " if joins else "(?P<join>)"
    several = re.compile(
        rf"(?<!\w)(?P<first>{day})(?:\.?{SPACE}?[-–]{SPACE}?{words})(?P<last>{day})(?:{INNER_STOP}|(?!\w))"
    )
    months = one_of({case for name in months_of for case in (name, name.capitalize())})
    single = re.compile(
        # Without a full stop, a word in lower case may be another: mar, seg.
        # Behind a day, mar. is a month.
        rf"(?<!\w)(?<![Tt]he )(?<![0-9] )(?P<day>{day})"
        rf"(?:{INNER_STOP}|(?<=[A-Z][a-z]{{2}})(?=\.|,?{SPACE}(?:(?:{months})\.?{SPACE})?[0-9]))(?!{SPACE}[0-9]{{3}})"
    )

    def decide(draft: Draft) -> None:
        draft.rewrite(
            several, lambda match: f"{short[match['first']]} {match['join'] or to} {short[match['last']]}"
        )
        draft.rewrite(single, lambda match: short[match["day"]])

    return decide


def _short_months(language: Language) -> re.Pattern[str]:
    names = language.patterns.month_names
    short = rf"(?i:{one_of(name for name in names if name != _full(names, names[name]) and len(name) < 5)})"
    return re.compile(
        rf"(?<!\w){_NOT_AT_SEA}(?P<month>(?=[A-Z]){short}|{short}(?=\.))\.?(?:{SPACE}del?)?{SPACE}"
        r"(?P<year>[12][0-9]{3})(?![\w/:]|[.,−–-][0-9])"
    )


def _full(names: Mapping[str, int], month: int) -> str:
    return max((name for name in names if names[name] == month), key=len)


def _month(match: re.Match[str], language: Language) -> str:
    written = match["month"]
    name = _full(language.patterns.month_names, language.patterns.month_names[written.lower()])
    of = f"{language.of_year} " if language.of_year else ""
    return f"{name.capitalize() if written[0].isupper() else name} {of}{_year(match['year'], language)}"


def _is_date(match: re.Match[str], first: int, second: int, language: Language) -> bool:
    """Say whether two numbers without a year are a date, and not a fraction.

    They are a date behind a cue, with a zero in front, or if the fraction would be above one.
    """
    if first < second < 5 and _IS_SHARED.match(match.string, match.end()):
        return False
    if match["first"].startswith("0") or match["second_"].startswith("0"):
        return True
    if language.patterns.date_cue.search(match.string, max(0, match.start() - _CUE_REACHES), match.start()):
        return True
    return language.is_day_first and first > second and first > 12


def _spoken(date: _Date, match: re.Match[str], language: Language) -> str | None:
    if not date.exists:
        return None
    spoken = language.date(date.day, date.month, _year(date.year, language), date.is_day_first)
    # A word that the text already has is not said twice: on *the* 4 July.
    before = _WORD_BEFORE.search(match.string, max(0, match.start() - _CUE_REACHES), match.start())
    return (
        spoken[before.end() - before.start() :]
        if before and spoken.startswith(f"{before[1].lower()} ")
        else spoken
    )


def _year(written: str, language: Language) -> str:
    if not written:
        return ""
    if len(written) == 2 and written[0] == "0":
        written = f"20{written}"  # a year is never spoken as a single digit
    return language.year(int(written)) if len(written) == 4 else language.cardinal(int(written), "alone")
