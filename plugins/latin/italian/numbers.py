"""Numbers in Italian words."""

from __future__ import annotations

from plugins.latin.language import MILLION, THOUSAND, Form, Scale, counts, in_order

_SMALL = in_order(
    "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici "
    "sedici diciassette diciotto diciannove"
)
_TENS = in_order("- - venti trenta quaranta cinquanta sessanta settanta ottanta novanta")
_SCALES = (
    Scale(10**12, "bilione", "bilioni"),
    Scale(10**9, "miliardo", "miliardi"),
    Scale(MILLION, "milione", "milioni"),
)
_ORDINALS = in_order("- primo secondo terzo quarto quinto sesto settimo ottavo nono decimo")
_ONE: dict[Form, str] = {"masculine": "un", "feminine": "una", "alone": "uno"}


def cardinal(number: int, form: Form = "alone") -> str:
    if number == 1:
        return _ONE[form]
    words = [
        f"{cardinal(count, 'masculine')} {scale.named(count)}" for count, scale in counts(number, _SCALES)
    ]
    thousands, rest = divmod(number % MILLION, THOUSAND)
    if thousands:
        words.append("mille" if thousands == 1 else f"{_below_thousand(thousands).replace('tré', 'tre')}mila")
    if rest or not words:
        words.append(_below_thousand(rest))
    return " ".join(words)


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return _below_hundred(rest)
    word = "cento" if hundreds == 1 else f"{_SMALL[hundreds]}cento"
    if rest == 8 or rest // 10 == 8:
        word = word[:-1]
    return f"{word}{'tré' if rest == 3 else _below_hundred(rest) if rest else ''}"


def _below_hundred(number: int) -> str:
    if number < 20:
        return _SMALL[number]
    tens, ones = divmod(number, 10)
    word = _TENS[tens][:-1] if ones in (1, 8) else _TENS[tens]
    return f"{word}{'tré' if ones == 3 else _SMALL[ones] if ones else ''}"


def ordinal(number: int, form: Form = "alone") -> str:
    if 0 < number < len(_ORDINALS):
        word = _ORDINALS[number]
    else:
        spoken = cardinal(number).replace(" ", "")
        # The last vowel falls, but not that of three and six: ventitreesimo.
        stem = f"{spoken[:-1]}e" if spoken.endswith("tré") else spoken
        stem = stem if spoken.endswith(("tré", "sei")) else spoken[:-1]
        word = f"{stem.removesuffix('mil')}{'mill' if stem.endswith('mil') else ''}esimo"
    return f"{word[:-1]}a" if form == "feminine" else word
