"""Plain numbers and ranges of them. This rule comes last, and reads what no other rule has read."""

from __future__ import annotations

import re

from plugins.latin.amounts import DASH, RIGHT, SIGNED, Amount, amount, spelled, write_out, written
from plugins.latin.language import Form, Language, Rule

_BEFORE = re.compile(r"([^\W\d_]+) $")
_AFTER = re.compile(r"[ \u00a0-]([^\W\d_]+)(?:[ \u00a0]([^\W\d_]+))?")
_PLURAL = re.compile(r" (?!is|was|has|as|this|vs)[a-z]+s\b")
_CUE_REACHES = 32
"""The number of characters that may hold a cue: enough for `between 1939 and `."""


def rule(language: Language) -> Rule:
    number = written(language)
    pattern = re.compile(rf"{SIGNED}(?P<first>{number})(?:{DASH}(?P<last>{number}))?{RIGHT}")

    def spoken(match: re.Match[str]) -> str:
        numbers = [amount(found, language.point) for found in match.group("first", "last") if found]
        if len(numbers) > 1 and any(one.is_spelled for one in numbers):
            return spelled(match.group(), language)
        if _are_years(match, language):
            words = [_year(one.whole, language) for one in numbers]
        else:
            form = form_at(match, numbers[-1], language)
            words = [write_out(one, form, language) for one in numbers]
        minus = f"{language.minus} " if match["minus"] else ""
        return minus + f" {language.to} ".join(words)

    return lambda draft: draft.rewrite(pattern, spoken)


def form_at(match: re.Match[str], number: Amount, language: Language) -> Form:
    """Return the form that the words around a number give to it."""
    before = _BEFORE.search(match.string, max(0, match.start() - _CUE_REACHES), match.start())
    after = _AFTER.match(match.string, match.end())
    noun = after[1].lower() if after else ""
    if after and after[2] and noun in language.tables.larges and not language.tables.larges[noun].is_noun:
        noun = after[2].lower()
    return language.form(number.whole, before[1].lower() if before else "", noun)


def _are_years(match: re.Match[str], language: Language) -> bool:
    if language.patterns.year_cue is None or match["minus"] or not _is_year(match["first"]):
        return False
    if match["last"]:
        return _is_year(match["last"]) or re.fullmatch("[1-9][0-9]", match["last"]) is not None
    if _PLURAL.match(match.string, match.end()):
        return False
    return bool(
        language.patterns.year_cue.search(match.string, max(0, match.start() - _CUE_REACHES), match.start())
    )


def _is_year(text: str) -> bool:
    return len(text) == 4 and text.isdecimal() and 1000 <= int(text) < 2100


def _year(number: int, language: Language) -> str:
    return language.year(number) if number >= 100 else language.cardinal(number, "alone")
