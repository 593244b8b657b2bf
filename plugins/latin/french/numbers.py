"""Numbers in French words."""

from __future__ import annotations

import re

from plugins.latin.language import MILLION, THOUSAND, Form, Scale, counts, in_order

_SMALL = in_order(
    "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize "
    "dix-sept dix-huit dix-neuf"
)
_TENS = in_order("- - vingt trente quarante cinquante soixante septante quatre-vingt nonante")
_SCALES = (
    Scale(10**12, "billion", "billions"),
    Scale(10**9, "milliard", "milliards"),
    Scale(MILLION, "million", "millions"),
)


def cardinal(number: int, form: Form = "alone", *, has_septante: bool = False) -> str:
    """Return the words of a number. Belgium and Switzerland have septante and nonante."""
    words = [
        f"{cardinal(count, has_septante=has_septante)} {scale.named(count)}"
        for count, scale in counts(number, _SCALES)
    ]
    thousands, rest = divmod(number % MILLION, THOUSAND)
    if thousands > 1:
        # Before mille, cents and vingts have no s.
        words.append(re.sub("(?<=cent|ingt)s$", "", _below_thousand(thousands, has_septante)))
    if thousands:
        words.append("mille")
    if rest or not words:
        words.append(_below_thousand(rest, has_septante))
    return f"{' '.join(words)}{'e' if form == 'feminine' and words[-1].endswith('un') else ''}"


def _below_thousand(number: int, has_septante: bool) -> str:
    hundreds, rest = divmod(number, 100)
    words = [] if hundreds < 2 else [_SMALL[hundreds]]
    if hundreds:
        words.append("cents" if hundreds > 1 and not rest else "cent")
    if rest or not hundreds:
        words.append(_below_hundred(rest, has_septante))
    return " ".join(words)


def _below_hundred(number: int, has_septante: bool) -> str:
    if number < 20:
        return _SMALL[number]
    tens, ones = divmod(number, 10)
    if tens in (7, 9) and not has_septante:
        tens, ones = tens - 1, ones + 10
    if not ones:
        return "quatre-vingts" if tens == 8 else _TENS[tens]
    return f"{_TENS[tens]}{' et ' if ones in (1, 11) and tens != 8 else '-'}{_SMALL[ones]}"


def ordinal_of(cardinal: str, form: Form) -> str:
    if cardinal == "un":
        return "première" if form == "feminine" else "premier"
    stem = re.sub("(?<=cent|ingt|lion|iard)s$|e$", "", cardinal)
    return f"{re.sub('neuf$', 'neuv', re.sub('cinq$', 'cinqu', stem))}ième"
