"""Ordinals, and numerals in Roman letters where they can be nothing else."""

from __future__ import annotations

import re

from plugins.latin.amounts import LEFT, Amount, one_of
from plugins.latin.language import Language, Roman, Rule
from plugins.latin.rules.counts import form_at
from speech_engine.draft import Draft

_ROMAN = r"(?P<roman>(?=[IVXLC])C{0,3}(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3}))(?!\w)"
_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}


def rule(language: Language) -> Rule:
    pattern = re.compile(
        rf"{LEFT}(?P<number>[0-9]{{1,3}})\.?(?P<ending>{one_of(language.patterns.ordinals)})(?!\w)"
    )

    def spoken(match: re.Match[str]) -> str | None:
        number = Amount(match["number"])
        form = language.patterns.ordinals[match["ending"]]
        if form == "alone" and form_at(match, Amount("1"), language) != "alone":
            form = "masculine"
        return language.ordinal(number.whole, form) if number.whole else None

    def decide(draft: Draft) -> None:
        draft.rewrite(pattern, spoken)
        for roman in language.patterns.romans:
            _read(draft, roman, language)

    return decide


def _read(draft: Draft, roman: Roman, language: Language) -> None:
    draft.rewrite(roman.pattern, lambda match: roman.spoken(language, _value(match["roman"])))


def as_cardinal(language: Language, number: int) -> str:
    return language.cardinal(number, "alone")


def as_ordinal(language: Language, number: int) -> str:
    return language.ordinal(number, "alone")


def as_feminine_ordinal(language: Language, number: int) -> str:
    return language.ordinal(number, "feminine")


def as_century(language: Language, number: int) -> str:
    """Portuguese and Spanish count the first ten: século quinto, século vinte."""
    return (as_ordinal if number <= 10 else as_cardinal)(language, number)


def after(*cues: str, but_not: str = "") -> re.Pattern[str]:
    """A numeral behind one of these words, written small or with a capital."""
    both = sorted({case for cue in cues for case in (cue, cue[0].upper() + cue[1:])})
    behind = "|".join(rf"(?<=\b{re.escape(cue)} )" for cue in both)
    return re.compile(rf"(?=[IVXLC])(?:{behind}){_ROMAN}{but_not}")


def before(what: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.]){_ROMAN}(?= {what})")


def _value(roman: str) -> int:
    values = [_VALUES[letter] for letter in roman]
    return sum(
        -one if one < following else one for one, following in zip(values, [*values[1:], 0], strict=True)
    )
