"""Ordinals, and Roman numerals in places in which they can be nothing else."""

from __future__ import annotations

import re

from plugins.latin.amounts import LEFT, Amount, one_of
from plugins.latin.language import Language, Roman, Rule
from plugins.latin.rules.counts import form_at
from speech_engine.text.draft import MASK, Draft

ROMAN = r"(?P<roman>(?=[IVXLC])C{0,3}(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3}))(?!\w)"
# The numerals behind the first, with or without a word between them: séculos XIX, XX e XXI. A
# single letter may be no numeral: Part II and I.
_NEXT = re.compile(
    r"(?:(?:, ?|,? (?:e|y|and|et|ed|a|à|al|to|o|ou|or) | ?[-–] ?)(?=[IVXLC]{2})"
    rf"|(?: (?:e|y|and|et|ed) | ?[-–] ?)(?=[VX]\b)){ROMAN}"
)
_NO_DIGIT = re.compile("[^0-9]")
_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}


def rule(language: Language) -> Rule:
    number = rf"[0-9]{{1,3}}(?:[{language.thousands}][0-9]{{3}}){{0,4}}|[0-9]{{4}}"
    ending = one_of(language.patterns.ordinals)
    pattern = re.compile(rf"{LEFT}(?P<number>{number})\.?(?P<ending>{ending})(?!\w)")

    def spoken(match: re.Match[str]) -> str | None:
        number = Amount(_NO_DIGIT.sub("", match["number"]))
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
    for first in roman.pattern.finditer(draft.open):
        match: re.Match[str] | None = first
        while match and MASK not in draft.open[match.start("roman") : match.end("roman")]:
            draft.decide(*match.span("roman"), roman.spoken(language, value(match["roman"])))
            match = _NEXT.match(draft.open, match.end("roman"))


def as_cardinal(language: Language, number: int) -> str:
    return language.cardinal(number, "alone")


def as_ordinal(language: Language, number: int) -> str:
    return language.ordinal(number, "alone")


def as_feminine_ordinal(language: Language, number: int) -> str:
    return language.ordinal(number, "feminine")


def as_century(language: Language, number: int) -> str:
    """Return an ordinal up to ten and a cardinal above, as Portuguese and Spanish count centuries:
    século quinto, século vinte."""
    return (as_ordinal if number <= 10 else as_cardinal)(language, number)


def after(*cues: str, but_not: str = "") -> re.Pattern[str]:
    """Return the pattern of a numeral behind one of these words. A word may be singular or plural,
    and may begin with a capital."""
    many = (f"{cue}s" for cue in cues if cue[-1].isalpha())
    both = sorted({case for cue in (*cues, *many) for case in (cue, cue[0].upper() + cue[1:])})
    behind = "|".join(rf"(?<=\b{re.escape(cue)} )" for cue in both)
    return re.compile(rf"(?=[IVX]|[LC][IVXLC])(?:{behind}){ROMAN}{but_not}")


def rulers(names: str, but_not: str = "") -> re.Pattern[str]:
    """Return the pattern of a numeral behind the name of a ruler or a pope. Only I, V and X count."""
    return re.compile(rf"\b(?:{'|'.join(names.split())}) (?=[IVX]+\b){ROMAN}{but_not}")


def before(what: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.]){ROMAN}(?=(?:,? (?:e|y|and|et) [IVXLC]+)? {what})")


def value(roman: str) -> int:
    values = [_VALUES[letter] for letter in roman.upper()]
    return sum(
        -one if one < following else one for one, following in zip(values, [*values[1:], 0], strict=True)
    )
