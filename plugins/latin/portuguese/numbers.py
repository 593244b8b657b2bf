"""Numbers in Portuguese words, as in Brazil and in Portugal."""

from __future__ import annotations

from plugins.latin.language import MILLION, THOUSAND, Form, Scale, counts, feminine, in_order

_SMALL = in_order(
    "zero um dois três quatro cinco seis sete oito nove dez onze doze treze catorze quinze dezesseis "
    "dezessete dezoito dezenove"
)
_IN_PORTUGAL = {16: "dezasseis", 17: "dezassete", 19: "dezanove"}
_FEMININE = {1: "uma", 2: "duas"}
_TENS = in_order("- - vinte trinta quarenta cinquenta sessenta setenta oitenta noventa")
_HUNDREDS = in_order(
    "- cento duzentos trezentos quatrocentos quinhentos seiscentos setecentos oitocentos novecentos"
)

_SHORT = (
    Scale(10**12, "trilhão", "trilhões"),
    Scale(10**9, "bilhão", "bilhões"),
    Scale(MILLION, "milhão", "milhões"),
)
_LONG = (Scale(10**12, "bilião", "biliões"), Scale(MILLION, "milhão", "milhões"))

_ORDINAL_ONES = in_order("- primeiro segundo terceiro quarto quinto sexto sétimo oitavo nono")
_ORDINAL_TENS = in_order(
    "- décimo vigésimo trigésimo quadragésimo quinquagésimo sexagésimo septuagésimo octogésimo nonagésimo"
)
_ORDINAL_HUNDREDS = in_order(
    "- centésimo ducentésimo trecentésimo quadringentésimo quingentésimo sexcentésimo septingentésimo "
    "octingentésimo noningentésimo"
)


def brazilian(number: int, form: Form = "alone") -> str:
    return _cardinal(number, form, _SHORT)


def portuguese(number: int, form: Form = "alone") -> str:
    return _cardinal(number, form, _LONG)


def _cardinal(number: int, form: Form, scales: tuple[Scale, ...]) -> str:
    is_european = scales is _LONG
    groups = [
        (count, f"{_cardinal(count, 'masculine', scales)} {scale.named(count)}")
        for count, scale in counts(number, scales)
    ]
    thousands, rest = divmod(number % MILLION, THOUSAND)
    if thousands:
        words = "mil" if thousands == 1 else f"{_below_thousand(thousands, form, is_european)} mil"
        groups.append((thousands, words))
    if rest or not groups:
        groups.append((rest, _below_thousand(rest, form, is_european)))
    *before, (last, words) = groups
    # An `e` stands before the last group only if the group is short: mil e cem, but mil cento e um.
    joined = " e " if last <= 100 or last % 100 == 0 else " "
    head = " ".join(words for _, words in before)
    return f"{head}{joined}{words}" if head else words


def _below_thousand(number: int, form: Form, is_european: bool) -> str:
    if number == 100:
        return "cem"
    hundreds, rest = divmod(number, 100)
    words = []
    if hundreds:
        words.append(
            feminine(_HUNDREDS[hundreds]) if form == "feminine" and hundreds > 1 else _HUNDREDS[hundreds]
        )
    if rest >= 20:
        tens, rest = divmod(rest, 10)
        words.append(_TENS[tens])
    if rest or not words:
        small = _FEMININE.get(rest) if form == "feminine" else None
        words.append(small or (is_european and _IN_PORTUGAL.get(rest)) or _SMALL[rest])
    return " e ".join(words)


def ordinal(number: int, form: Form = "alone") -> str:
    """Return the ordinal up to 999. No larger ordinal is spoken, so the text is then empty."""
    if not 0 < number < 1000:
        return ""
    hundreds, tens, ones = number // 100, number // 10 % 10, number % 10
    words = [
        table[digit]
        for table, digit in ((_ORDINAL_HUNDREDS, hundreds), (_ORDINAL_TENS, tens), (_ORDINAL_ONES, ones))
        if digit
    ]
    return " ".join(feminine(word) if form == "feminine" else word for word in words)
