"""Dates. A year is said as it is written: the writer decides whether it is a Buddhist year."""

from __future__ import annotations

import re

from plugins.pythainlp.numbers import cardinal
from plugins.pythainlp.rule import Rule, follows, one_of

_MONTHS = (
    ("มกราคม", "ม.ค."),
    ("กุมภาพันธ์", "ก.พ."),
    ("มีนาคม", "มี.ค."),
    ("เมษายน", "เม.ย."),
    ("พฤษภาคม", "พ.ค."),
    ("มิถุนายน", "มิ.ย."),
    ("กรกฎาคม", "ก.ค."),
    ("สิงหาคม", "ส.ค."),
    ("กันยายน", "ก.ย."),
    ("ตุลาคม", "ต.ค."),
    ("พฤศจิกายน", "พ.ย."),
    ("ธันวาคม", "ธ.ค."),
)
SHORT_MONTHS = {short: name for name, short in _MONTHS}
ERAS = {
    "พ.ศ.": "พุทธศักราช",
    "ค.ศ.": "คริสต์ศักราช",
    "ร.ศ.": "รัตนโกสินทร์ศก",
    "จ.ศ.": "จุลศักราช",
    "ฮ.ศ.": "ฮิจเราะห์ศักราช",
}
_SHORT = SHORT_MONTHS | {short[:-1]: name for short, name in SHORT_MONTHS.items()}
_NAMES = {name: name for name, _ in _MONTHS} | _SHORT

_WEEKDAYS = {
    "จ.": "จันทร์",
    "อ.": "อังคาร",
    "พ.": "พุธ",
    "พฤ.": "พฤหัสบดี",
    "ศ.": "ศุกร์",
    "ส.": "เสาร์",
    "อา.": "อาทิตย์",
}
_WEEKDAY = one_of((*_WEEKDAYS, *_WEEKDAYS.values(), "พฤหัส"))
# Two weekdays with a hyphen. The letters of a single weekday have too many other meanings.
_DAYS = re.compile(rf"(?P<first>{_WEEKDAY}) ?[-\u2013] ?(?P<last>{_WEEKDAY})")

_NOT_WITHIN = r"(?<!\d)(?<!\d[-/.:,])"
_ENDS = r"(?!\d|[.:,/-]\d)"
_IN_DIGITS = re.compile(
    rf"{_NOT_WITHIN}(?P<day>\d{{1,2}})(?:/(?P<month>\d{{1,2}})/(?P<year>\d{{4}}|\d\d)|"
    rf"(?P<mark>[-.])(?P<marked_month>\d{{1,2}})(?P=mark)(?P<marked_year>\d{{4}})){_ENDS}"
)
_ISO = re.compile(rf"{_NOT_WITHIN}(?P<year>\d{{4}})-(?P<month>\d\d)-(?P<day>\d\d){_ENDS}")
_WITHOUT_YEAR = re.compile(rf"{_NOT_WITHIN}(?P<day>\d{{1,2}})/(?P<month>\d{{1,2}}){_ENDS}")
_NAMED = re.compile(
    rf"{_NOT_WITHIN}(?P<day>\d{{1,2}})(?: ?[-\u2013] ?(?P<last>\d{{1,2}}))? ?"
    rf"(?P<month>(?P<short>{one_of(_SHORT)})|{one_of(name for name, _ in _MONTHS)})"
    # Two digits behind the full name of a month count something else: `1 มกราคม 50 คน`.
    rf"(?: ?(?P<era>{one_of(ERAS)})? ?(?P<year>\d{{4}}|(?(short)\d\d|(?!)))(?!\d|[.:,/-]\d| ?น\.))?"
)


def _days(match: re.Match[str]) -> str:
    first, last = (_WEEKDAYS.get(day, day) for day in (match["first"], match["last"]))
    return f"{first}ถึง{last}"


def _date(day: str, month: str, year: str) -> str | None:
    if not (1 <= int(day) <= 31 and 1 <= int(month) <= 12):
        return None
    return f"{_day(day)}{_MONTHS[int(month) - 1][0]}{cardinal(year) if year else ''}"


def _day(written: str) -> str:
    return cardinal(str(int(written)))


def _in_digits(match: re.Match[str]) -> str | None:
    return _date(match["day"], match["month"] or match["marked_month"], match["year"] or match["marked_year"])


def _without_year(match: re.Match[str]) -> str | None:
    return _date(match["day"], match["month"], "") if follows(match, "วันที่", "เมื่อ") else None


def _named(match: re.Match[str]) -> str | None:
    last, era, year = match["last"], match["era"], match["year"]
    if not all(1 <= int(day) <= 31 for day in (match["day"], last) if day):
        return None
    days = _day(match["day"]) + (f"ถึง{_day(last)}" if last else "")
    return f"{days}{_NAMES[match['month']]}{ERAS[era] if era else ''}{cardinal(year) if year else ''}"


RULES = (
    Rule(_DAYS, _days, closes_before=False),
    Rule(_IN_DIGITS, _in_digits),
    Rule(_ISO, lambda match: _date(match["day"], match["month"], match["year"])),
    Rule(_WITHOUT_YEAR, _without_year),
    Rule(_NAMED, _named),
)
