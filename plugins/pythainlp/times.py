"""Times of day, by the written clock of twenty-four hours."""

from __future__ import annotations

import re

from plugins.pythainlp.numbers import cardinal
from plugins.pythainlp.rule import Rule, follows

_CLOCK = r"\d{1,2}[:.]\d\d(?:[:.]\d\d)?"
_NOT_WITHIN = r"(?<!\d)(?<!\d[-/.:,])"
_ENDS = r"(?!\d|[.:,/]\d)"
_HOUR_SIGN = r" ?(?:น\.(?![ก-ฮ]\.)|นาฬิกา)"

_SIGNED = re.compile(
    rf"{_NOT_WITHIN}(?P<first>{_CLOCK}|\d{{1,2}})(?: ?[-\u2013] ?(?P<last>{_CLOCK}|\d{{1,2}}))?{_HOUR_SIGN}"
)
_ENGLISH = re.compile(
    rf"{_NOT_WITHIN}(?P<hour>\d{{1,2}})(?:[:.](?P<minute>\d\d))? ?(?P<half>[AaPp])\.?[Mm](?!\w)"
)
_BARE = re.compile(
    rf"{_NOT_WITHIN}(?P<first>\d{{1,2}}(?::\d\d){{1,2}})(?: ?[-\u2013] ?(?P<last>\d{{1,2}}:\d\d))?{_ENDS}"
)
_ANNOUNCED = re.compile(
    rf"{_NOT_WITHIN}(?P<first>\d{{1,2}}\.\d\d)(?: ?[-\u2013] ?(?P<last>\d{{1,2}}\.\d\d))?{_ENDS}"
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


RULES = (
    Rule(_SIGNED, _times),
    Rule(_ENGLISH, _english),
    Rule(_BARE, _times),
    Rule(_ANNOUNCED, lambda match: _times(match) if follows(match, "เวลา") else None),
)
