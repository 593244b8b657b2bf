"""Times of day (`14:30`, `14h30`, `2:30 p.m.`), and ranges from one time to another."""

from __future__ import annotations

import re

from plugins.latin.amounts import INNER_STOP, LEFT, RIGHT, SPACE
from plugins.latin.language import Language, Rule, Time


def rule(language: Language) -> Rule:
    until = rf"(?:{SPACE}?[-–]{SPACE}?{_moment('to_', language.patterns.hour_mark)})?"
    pattern = re.compile(rf"{LEFT}{_moment('', language.patterns.hour_mark)}{until}{RIGHT}")

    def spoken(match: re.Match[str]) -> str | None:
        first, last = _time(match, ""), _time(match, "to_")
        if first is None:
            return None
        if match["to_hour"] is None:
            return language.clock(first)
        return last and f"{language.clock(first)} {language.until(last)} {language.clock(last)}"

    return lambda draft: draft.rewrite(pattern, spoken)


def _moment(name: str, hour_mark: str) -> str:
    def half(number: int) -> str:
        return rf"{SPACE}?(?P<{name}half{number}>[AaPp])(?:[Mm]|\.{SPACE}?[Mm])(?:{INNER_STOP}|(?!\w))"

    clock = (
        rf":(?P<{name}minute>[0-5][0-9])(?::(?P<{name}second>[0-5][0-9]))?"
        rf"(?:{half(1)}|(?P<{name}hours>{SPACE}?h(?:rs?|s)?(?!\w)))?"
    )
    marked = (
        rf"|(?P<{name}mark>{SPACE}?{hour_mark})(?P<{name}past>[0-5][0-9])?(?:{SPACE}?min)?(?!\w)"
        if hour_mark
        else ""
    )
    return rf"(?P<{name}hour>[0-9]{{1,2}})(?:{clock}|{half(2)}{marked})"


def _time(match: re.Match[str], name: str) -> Time | None:
    found = match.groupdict()
    half = (found[f"{name}half1"] or found[f"{name}half2"] or "").lower()
    hour = int(found[f"{name}hour"] or 0)
    if hour > (12 if half else 24):
        return None
    second = found[f"{name}second"]
    return Time(
        hour,
        int(found[f"{name}minute"] or found.get(f"{name}past") or 0),
        None if second is None else int(second),
        half,
        bool(found[f"{name}hours"] or found.get(f"{name}mark")),
    )
