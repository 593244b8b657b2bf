"""Dates and times of day, by the written clock of twenty-four hours.

A year is said as it is written: the writer decides whether it is a Buddhist year.
"""

from __future__ import annotations

import re

from plugins.pythainlp.numbers import cardinal
from plugins.pythainlp.rule import Rule, follows, one_of

_CLOCK = r"\d{1,2}[:.]\d\d(?:[:.]\d\d)?"
_NOT_WITHIN = r"(?<!\d)(?<!\d[-/.:,])"
_TIME_END = r"(?!\d|[.:,/]\d)"
_HOUR_SIGN = r" ?(?:น\.(?![ก-ฮ]\.)|นาฬิกา)"

_WITH_HOUR_SIGN = re.compile(
    rf"{_NOT_WITHIN}(?P<first>{_CLOCK}|\d{{1,2}})(?: ?[-\u2013] ?(?P<last>{_CLOCK}|\d{{1,2}}))?{_HOUR_SIGN}"
)
_ENGLISH = re.compile(
    rf"{_NOT_WITHIN}(?P<hour>\d{{1,2}})(?:[:.](?P<minute>\d\d))? ?(?P<half>[AaPp])\.?[Mm](?!\w)"
)
_BARE = re.compile(
    rf"{_NOT_WITHIN}(?P<first>\d{{1,2}}(?::\d\d){{1,2}})(?: ?[-\u2013] ?(?P<last>\d{{1,2}}:\d\d))?{_TIME_END}"
)
_AFTER_TIME_WORD = re.compile(
    rf"{_NOT_WITHIN}(?P<first>\d{{1,2}}\.\d\d)(?: ?[-\u2013] ?(?P<last>\d{{1,2}}\.\d\d))?{_TIME_END}"
)


def _clock(written: str) -> str | None:
    hour, minute, second = (int(part) for part in (*re.split("[:.]", written), "0", "0")[:3])
    if hour > 24 or minute > 59 or second > 59:
        return None
    words = f"{cardinal(str(hour))}นาฬิกา"
    if minute:
        words += f"{cardinal(str(minute))}นาที"
    return f"{words}{cardinal(str(second))}วินาที" if second else words


def _times(match: re.Match[str]) -> str | None:
    clocks = [_clock(written) for written in (match["first"], match["last"]) if written]
    return "ถึง".join(each for each in clocks if each) if all(clocks) else None


def _english(match: re.Match[str]) -> str | None:
    hour = int(match["hour"])
    if not 1 <= hour <= 12:
        return None
    hour = hour % 12 + (12 if match["half"] in "Pp" else 0)
    return _clock(f"{hour}:{match['minute'] or '00'}")


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
# Two weekdays with a hyphen. The letters of a single weekday have too many other meanings. `ก.พ.-พ.ค.` has
# months, and `ค.ศ.-พ.ศ.` eras.
_WEEKDAY_RANGE = re.compile(
    rf"(?<![กคจพรฮ]\.)(?P<first>{_WEEKDAY}) ?[-\u2013] ?(?P<last>{_WEEKDAY})(?![คยศ]\.)"
)

_DATE_END = r"(?!\d|[.:,/-]\d)"
_IN_DIGITS = re.compile(
    rf"{_NOT_WITHIN}(?P<day>\d{{1,2}})(?:/(?P<month>\d{{1,2}})/(?P<year>\d{{4}}|\d\d)|"
    rf"(?P<mark>[-.])(?P<marked_month>\d{{1,2}})(?P=mark)(?P<marked_year>\d{{4}})){_DATE_END}"
)
_ISO = re.compile(rf"{_NOT_WITHIN}(?P<year>\d{{4}})-(?P<month>\d\d)-(?P<day>\d\d){_DATE_END}")
_WITHOUT_YEAR = re.compile(rf"{_NOT_WITHIN}(?P<day>\d{{1,2}})/(?P<month>\d{{1,2}}){_DATE_END}")
_NAMED = re.compile(
    rf"{_NOT_WITHIN}(?P<day>\d{{1,2}})(?: ?[-\u2013] ?(?P<last>\d{{1,2}}))? ?"
    rf"(?P<month>(?P<short>{one_of(_SHORT)})|{one_of(name for name, _ in _MONTHS)})"
    # Two digits behind the full name of a month count something else: `1 มกราคม 50 คน`.
    rf"(?: ?(?P<era>{one_of(ERAS)})? ?(?P<year>\d{{4}}|(?(short)\d\d|(?!)))(?!\d|[.:,/-]\d| ?น\.))?"
)


def _weekdays(match: re.Match[str]) -> str:
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
    Rule(_WEEKDAY_RANGE, _weekdays, removes_blank_before=False),
    Rule(_IN_DIGITS, _in_digits),
    Rule(_ISO, lambda match: _date(match["day"], match["month"], match["year"])),
    Rule(_WITHOUT_YEAR, _without_year),
    Rule(_NAMED, _named),
    Rule(_WITH_HOUR_SIGN, _times),
    Rule(_ENGLISH, _english),
    Rule(_BARE, _times),
    Rule(_AFTER_TIME_WORD, lambda match: _times(match) if follows(match, "เวลา") else None),
)
