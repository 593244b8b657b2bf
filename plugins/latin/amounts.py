"""Numbers as they are written (`1.234,56`) and as words. Every rule with a number needs
both."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from plugins.latin.language import Form, Language

SPACE = r"[ \u00a0\u202f]"
# An expression with arithmetic signs, or `6'2`, is no single number, so it is left as it is
# written. A figure behind a money sign that no table has is also left.
LEFT = r"(?<![\w.,/:+=*^$€£₦¥−-])(?<![0-9]['’])"
SIGNED = rf"(?:(?<![\w\0.,/:)%°$€£+=*^−-])(?P<minus>[−-])|{LEFT})"
RIGHT = r"(?![\w²³]|[.,:/'’+=*^−–-][0-9])"
DASH = r"(?:[-–]|[ ]?–[ ]?)"
# A full stop that ends no sentence. A full stop that ends a sentence stays where it is.
# No sentence begins with a word all in capitals (5 p.m. EST). The pattern assumes that none begins
# with the day (5 p.m. Monday).
_DAY = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b"
INNER_STOP = rf"\.(?!\s*\Z|\s+[\"“«'(¿¡]*(?!{_DAY})[A-ZÀ-ÖØ-Þ](?:[a-zà-ÿ'’]|[ ,]))"
_LONGEST = 15
"""The most digits of a number. Longer numbers are names of things, and are read digit by digit."""

_DIGITS = re.compile("[0-9]+")


class Amount(NamedTuple):
    """A number as it is written: its digits, its decimals if any, and the decimal mark before them."""

    digits: str
    decimals: str = ""
    mark: str = ""

    @property
    def whole(self) -> int:
        return int(self.digits[:_LONGEST] or 0)

    @property
    def is_spelled(self) -> bool:
        """Return whether the digits are a name and no number, as in `007`."""
        return len(self.digits) > _LONGEST or (len(self.digits) > 1 and self.digits[0] == "0")


def written(language: Language) -> str:
    """Return the pattern of a number.

    If the language has a decimal comma, a full stop before one or two digits is a decimal mark too.
    """
    dot = re.escape(language.point)
    foreign = r"|\.[0-9]{1,2}(?![0-9])" if language.point == "," else ""
    thousands = rf"[0-9]{{1,3}}(?:[{language.thousands}][0-9]{{3}})+"
    bare = r"|\.[0-9]+" if language.point == "." else ""
    return rf"(?:(?:{thousands}|[0-9]+)(?:{dot}[0-9]+{foreign})?{bare})"


def written_money(language: Language) -> str:
    """Return the pattern of `written`, or of an amount with cents as other countries write it."""
    comma, dot = re.escape(_other(language.point)), re.escape(language.point)
    abroad = rf"[0-9]{{1,3}}(?:{dot}[0-9]{{3}})*{comma}[0-9]{{2}}(?![0-9])"
    return rf"(?:{abroad}|{written(language)})"


def one_of(table: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(table, key=len, reverse=True)))


def _other(point: str) -> str:
    return "," if point == "." else "."


def amount(text: str, point: str) -> Amount:
    """Read a written number.

    If it has two different marks, the last is the decimal mark. If its only mark is the one between
    thousands, that mark is decimal unless it separates groups of three digits.
    """
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


def write_out(number: Amount, form: Form, language: Language) -> str:
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
    """Return the digits one by one. Anything that stands between them becomes a short rest."""
    return ", ".join(_group(group, language) for group in _DIGITS.findall(text))


def _group(digits: str, language: Language) -> str:
    if language.has_pairs and len(digits) in (2, 10):
        pairs = [digits[at : at + 2] for at in range(0, len(digits), 2)]
        numbers = [number for pair in pairs for number in ([pair] if pair[0] != "0" else pair)]
    else:
        numbers = list(digits)
    return " ".join(language.cardinal(int(number), "alone") for number in numbers)
