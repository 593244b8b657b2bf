"""Numbers in Thai words, and the patterns of written numbers."""

from __future__ import annotations

import re

from pythainlp.util import num_to_thaiword

from plugins.pythainlp.rule import WORDLIKE

_DIGITS = ("ศูนย์", "หนึ่ง", "สอง", "สาม", "สี่", "ห้า", "หก", "เจ็ด", "แปด", "เก้า")

# A longer number is a name for something, and it is said digit by digit.
_MOST_DIGITS = 15

# Possessive, here and below, because the try of a shorter number would only cost time.
NUMBER = r"(?>\d{1,3}(?:,\d{3})++(?!\d)|\d++)(?>\.\d++)?"
_SIGN = rf"(?:(?<![{WORDLIKE}.%)\]])-|[\u2212+])"
DASH = r"(?:-| - | ?[\u2013\u2014] ?)"
"""A dash between two numbers. A hyphen with a blank on only one side is a minus, or unclear."""

_RANGE = rf"(?:{DASH}{NUMBER}|(?: ?[x×] ?{NUMBER}){{1,2}})"

QUANTITY = rf"(?<!\d)(?<!\d[.,])(?:~ ?)?{_SIGN}?{NUMBER}{_RANGE}?(?!\d)(?![.,]\d)"
"""A number, a range of numbers, or one number by another.

It captures no groups, so that any pattern can contain it.
"""

_PART = re.compile(rf" ?(?P<sign>[-~x×+\u2212\u2013\u2014]) ?|(?P<number>{NUMBER})")
_SIGNS = {"~": "ประมาณ", "x": "คูณ", "×": "คูณ", "+": "บวก"}


def digits(written: str) -> str:
    return "".join(_DIGITS[int(character)] for character in written if character.isdecimal())


def cardinal(written: str) -> str:
    """Say a whole number. If it begins with a zero or is too long, it is said digit by digit."""
    plain = written.replace(",", "")
    if len(plain) > _MOST_DIGITS or (len(plain) > 1 and int(plain[0]) == 0):
        return digits(plain)
    return num_to_thaiword(int(plain))


def number(written: str) -> str:
    whole, _, fraction = written.partition(".")
    return f"{cardinal(whole)}จุด{digits(fraction)}" if fraction else cardinal(whole)


def quantity(written: str, between: str = "ถึง") -> str:
    """Say a match of `QUANTITY`; `between` is said for a hyphen between two numbers."""

    def in_words(part: re.Match[str]) -> str:
        if part["number"] is not None:
            return number(part["number"])
        is_first = not any(map(str.isdecimal, part.string[: part.start()]))
        minus = "ลบ" if is_first else between
        return _SIGNS.get(part["sign"], minus)

    return _PART.sub(in_words, written)
