"""Numbers in Spanish words."""

from __future__ import annotations

from plugins.latin.language import MILLION, THOUSAND, Form, Scale, counts, feminine, in_order

_SMALL = in_order(
    "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis "
    "diecisiete dieciocho diecinueve veinte veintiuno veintidós veintitrés veinticuatro veinticinco "
    "veintiséis veintisiete veintiocho veintinueve"
)
_TENS = in_order("- - - treinta cuarenta cincuenta sesenta setenta ochenta noventa")
_HUNDREDS = in_order(
    "- ciento doscientos trescientos cuatrocientos quinientos seiscientos setecientos ochocientos novecientos"
)
_SCALES = (Scale(10**12, "billón", "billones"), Scale(MILLION, "millón", "millones"))

_ORDINAL_SMALL = in_order(
    "- primero segundo tercero cuarto quinto sexto séptimo octavo noveno décimo undécimo duodécimo "
    "decimotercero decimocuarto decimoquinto decimosexto decimoséptimo decimoctavo decimonoveno"
)
_ORDINAL_TENS = in_order(
    "- - vigésimo trigésimo cuadragésimo quincuagésimo sexagésimo septuagésimo octogésimo nonagésimo"
)
_ORDINAL_HUNDREDS = in_order(
    "- centésimo ducentésimo tricentésimo cuadringentésimo quingentésimo sexcentésimo septingentésimo "
    "octingentésimo noningentésimo"
)


def cardinal(number: int, form: Form = "alone") -> str:
    words = [
        f"{cardinal(count, 'masculine')} {scale.named(count)}" for count, scale in counts(number, _SCALES)
    ]
    thousands, rest = divmod(number % MILLION, THOUSAND)
    if thousands:
        words.append("mil" if thousands == 1 else f"{_below_thousand(thousands, form, 'masculine')} mil")
    if rest or not words:
        words.append(_below_thousand(rest, form, form))
    return " ".join(words)


def _below_thousand(number: int, form: Form, last: Form) -> str:
    """Return the words of a number below a thousand.

    `last` is the form of its ones. Before `mil` they are never feminine: doscientas veintiún mil.
    """
    if number == 100:
        return "cien"
    hundreds, rest = divmod(number, 100)
    words = []
    if hundreds:
        words.append(
            feminine(_HUNDREDS[hundreds]) if form == "feminine" and hundreds > 1 else _HUNDREDS[hundreds]
        )
    if rest or not words:
        words.append(_below_hundred(rest, last))
    return " ".join(words)


def _below_hundred(number: int, form: Form) -> str:
    if number < 30:
        words = _SMALL[number]
    else:
        tens, ones = divmod(number, 10)
        words = f"{_TENS[tens]} y {_SMALL[ones]}" if ones else _TENS[tens]
    if form == "alone" or not words.endswith("uno"):
        return words
    if form == "feminine":
        return feminine(words)
    return "veintiún" if number == 21 else words[:-1]


def ordinal(number: int, form: Form = "alone") -> str:
    """Return the ordinal up to 999. No larger ordinal is spoken, so the cardinal stands for it."""
    if not 0 < number < 1000:
        return cardinal(number, form)
    hundreds, rest = divmod(number, 100)
    words = [_ORDINAL_HUNDREDS[hundreds]] if hundreds else []
    if rest >= 20:
        words.append(_ORDINAL_TENS[rest // 10])
        rest %= 10
    if rest:
        words.append(_ORDINAL_SMALL[rest])
    if form == "feminine":
        return " ".join(map(feminine, words))
    spoken = " ".join(words)
    return spoken[:-1] if form == "masculine" and spoken.endswith(("primero", "tercero")) else spoken
