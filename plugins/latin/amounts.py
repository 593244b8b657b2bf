"""Numbers as they are written, `1.234,56`, and as they are said; every rule with a number builds on these."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from plugins.latin.language import Form, Language

SPACE = r"[ \u00a0\u202f]"
# What has signs of reckoning in it, or `6'2`, is no single number: it is left as it is written.
# Nor is there a number behind a sign of money that no table has.
LEFT = r"(?<![\w.,/:+=*^$€£₦¥−-])(?<![0-9]['’])"
SIGNED = rf"(?:(?<![\w.,/:)%°$€£+=*^−-])(?P<minus>[−-])|{LEFT})"
RIGHT = r"(?![\w²³]|[.,:/'’+=*^−–-][0-9])"
DASH = r"(?:[-–]|[ ]?–[ ]?)"
# A full stop that ends no sentence; one that does is left where it is. No sentence begins with a word all in
# capitals (5 p.m. EST) or, as far as anyone can tell, with the day (5 p.m. Monday).
_DAY = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b"
INNER_STOP = rf"\.(?!\s*\Z|\s+[\"“«'(¿¡]*(?!{_DAY})[A-ZÀ-ÖØ-Þ](?:[a-zà-ÿ'’]|[ ,]))"
_LONGEST = 15
"""Digits; longer numbers are names of things, and are read one by one."""

_DIGITS = re.compile("[0-9]+")


class Amount(NamedTuple):
    digits: str
    decimals: str = ""
    mark: str = ""

    @property
    def whole(self) -> int:
        return int(self.digits[:_LONGEST] or 0)

    @property
    def is_spelled(self) -> bool:
        """As in `007`: no number, a name made of digits."""
        return len(self.digits) > _LONGEST or (len(self.digits) > 1 and self.digits[0] == "0")


def written(language: Language) -> str:
    """The pattern of a number; without thousands, a foreign decimal mark is taken for what it is."""
    dot = re.escape(language.point)
    foreign = r"|\.[0-9]{1,2}(?![0-9])" if language.point == "," else ""
    thousands = rf"[0-9]{{1,3}}(?:[{language.thousands}][0-9]{{3}})+"
    bare = r"|\.[0-9]+" if language.point == "." else ""
    return rf"(?:(?:{thousands}|[0-9]+)(?:{dot}[0-9]+{foreign})?{bare})"


def written_money(language: Language) -> str:
    """As `written`, or as other countries write an amount with cents."""
    comma, dot = re.escape(_other(language.point)), re.escape(language.point)
    abroad = rf"[0-9]{{1,3}}(?:{dot}[0-9]{{3}})*{comma}[0-9]{{2}}(?![0-9])"
    return rf"(?:{abroad}|{written(language)})"


def one_of(table: Iterable[str]) -> str:
    """The pattern of any of these, the longest that is there."""
    return "|".join(map(re.escape, sorted(table, key=len, reverse=True)))


def _other(point: str) -> str:
    return "," if point == "." else "."


def amount(text: str, point: str) -> Amount:
    """Of two different marks the last is the decimal one; of one, groups of three tell."""
    group = _other(point)
    text = re.sub(SPACE, "", text)
    mark = point
    if group in text and (
        (point in text and text.rindex(group) > text.rindex(point))
        or (point not in text and not re.fullmatch(rf"[0-9]{{1,3}}(?:{re.escape(group)}[0-9]{{3}})+", text))
    ):
        mark = group
    whole, _, decimals = text.rpartition(mark) if mark in text else (text, "", "")
    return Amount(re.sub(r"[.,]", "", whole), decimals, mark if decimals else "")


def said(number: Amount, form: Form, language: Language) -> str:
    if not number.digits:
        whole = ""
    elif number.is_spelled:
        whole = spelled(number.digits, language)
    else:
        whole = language.cardinal(number.whole, "alone" if number.decimals and form == "masculine" else form)
    if not number.decimals:
        return whole
    return f"{whole} {language.marks[number.mark]} {_decimals(number.decimals, language)}".lstrip()


def _decimals(digits: str, language: Language) -> str:
    rest = digits.lstrip("0")
    if language.spells_decimals or not 0 < len(rest) <= 3:
        return spelled(digits, language)
    zeros = [language.cardinal(0, "alone")] * (len(digits) - len(rest))
    return " ".join((*zeros, language.cardinal(int(rest), "alone")))


def spelled(text: str, language: Language) -> str:
    """Digit by digit; whatever stands between them is a short rest."""
    groups = (
        " ".join(language.cardinal(int(digit), "alone") for digit in group) for group in _DIGITS.findall(text)
    )
    return ", ".join(groups)
