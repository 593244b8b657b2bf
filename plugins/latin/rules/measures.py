"""Numbers with a unit or a percent sign."""

from __future__ import annotations

import re

from plugins.latin.amounts import DASH, RIGHT, SIGNED, SPACE, Amount, amount, one_of, write_out, written
from plugins.latin.language import Language, Rule, Unit

_WORD_BEFORE = re.compile(r"(\w+) $")


def rule(language: Language) -> Rule:
    number = written(language)
    pattern = re.compile(
        rf"{SIGNED}(?P<first>{number})(?:{DASH}(?P<last>{number}))?"
        rf"{SPACE}?(?P<unit>{one_of(language.tables.units)})(?:{DASH}(?P<end>{number}){SPACE}?(?P=unit))?{RIGHT}"
        r"(?:\.(?= [a-zà-ÿ(]))?"
    )

    def spoken(match: re.Match[str]) -> str:
        unit = language.tables.units[match["unit"]]
        numbers = [amount(found, language.point) for found in match.group("first", "last", "end") if found]
        minus = f"{language.minus} " if match["minus"] else ""
        if match["unit"] == "m" and len(numbers) == 1 and (height := _height(numbers[0], unit, language)):
            return minus + height
        words = f" {language.to} ".join(write_out(one, unit.form, language) for one in numbers)
        last = numbers[-1]
        is_one = language.is_one(last.whole, bool(last.decimals)) or is_attribute(match, language)
        return language.elided(f"{minus}{words} {unit.one if is_one else unit.many}")

    return lambda draft: draft.rewrite(pattern, spoken)


def _height(number: Amount, unit: Unit, language: Language) -> str | None:
    """Return the words of a height such as `1,80 m`, if the language has a custom for it."""
    if language.metres is None or number.whole not in (1, 2) or len(number.decimals) != 2:
        return None
    metres = f"{language.cardinal(number.whole, unit.form)} {unit.one if number.whole == 1 else unit.many}"
    return f"{metres} {language.metres} {language.cardinal(int(number.decimals), 'alone')}"


def is_attribute(match: re.Match[str], language: Language) -> bool:
    """Return whether the amount only describes a noun that follows: `a five mile run`."""
    text, end = match.string, match.end()
    before = _WORD_BEFORE.search(text, max(0, match.start() - 8), match.start())
    if before is None or before[1].lower() not in language.patterns.singular_after:
        return False
    return text[end : end + 1] == " " and text[end + 1 : end + 2].isalpha()
