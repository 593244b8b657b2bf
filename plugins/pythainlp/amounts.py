"""Money and percentages: a quantity and its unit."""

from __future__ import annotations

import re
from typing import NamedTuple

from plugins.pythainlp.numbers import DASH, NUMBER, QUANTITY, cardinal, number, quantity
from plugins.pythainlp.rule import WORDLIKE, Rule, one_of


class _Currency(NamedTuple):
    name: str
    hundredth: str = ""


_BAHT = _Currency("บาท", "สตางค์")
_DOLLAR = _Currency("ดอลลาร์สหรัฐ", "เซนต์")
_SIGNS = {
    "฿": _BAHT,
    "$": _Currency("ดอลลาร์", "เซนต์"),
    "US$": _DOLLAR,
    "€": _Currency("ยูโร", "เซนต์"),
    "£": _Currency("ปอนด์", "เพนนี"),
    "¥": _Currency("เยน"),
    "₩": _Currency("วอน"),
    "₫": _Currency("ดอง"),
    "₭": _Currency("กีบ"),
    "₹": _Currency("รูปี"),
    "₱": _Currency("เปโซ"),
    "₽": _Currency("รูเบิล"),
    "A$": _Currency("ดอลลาร์ออสเตรเลีย", "เซนต์"),
    "C$": _Currency("ดอลลาร์แคนาดา", "เซนต์"),
    "HK$": _Currency("ดอลลาร์ฮ่องกง", "เซนต์"),
    "NT$": _Currency("ดอลลาร์ไต้หวัน"),
    "NZ$": _Currency("ดอลลาร์นิวซีแลนด์", "เซนต์"),
    "S$": _Currency("ดอลลาร์สิงคโปร์", "เซนต์"),
}
_CODES = {
    "THB": _BAHT,
    "USD": _DOLLAR,
    "EUR": _SIGNS["€"],
    "GBP": _SIGNS["£"],
    "JPY": _SIGNS["¥"],
    "CNY": _Currency("หยวน"),
    "AUD": _SIGNS["A$"],
    "CAD": _SIGNS["C$"],
    "HKD": _SIGNS["HK$"],
    "NZD": _SIGNS["NZ$"],
    "SGD": _SIGNS["S$"],
    "TWD": _SIGNS["NT$"],
}
_BEFORE = _SIGNS | _CODES
_BEHIND = dict.fromkeys(("บาท", "บ.", ".-", ".-บาท", ".- บาท"), _BAHT) | _SIGNS | _CODES

# A million is often written as a Latin letter.
_LETTERS = {"K": "พัน", "M": "ล้าน", "B": "พันล้าน"}
_SCALE = "(?:(?:ล้าน|แสน|หมื่น|พัน|ร้อย|สิบ)?ล้าน|แสน|หมื่น|พัน)"
_SIGN_FIRST = re.compile(
    rf"(?<![A-Za-z])(?P<minus>(?<![{WORDLIKE}])-)?(?P<sign>{one_of(_BEFORE)}) ?(?P<first>{NUMBER})"
    rf"(?:{DASH}(?:(?P=sign))?(?P<last>{NUMBER}))?(?!\d|[.,]\d)"
    rf"(?: ?(?P<scale>{_SCALE})|(?P<letter>[KMB])(?![A-Za-z]))?"
    # Several countries write $, and a code names the country: $20 USD.
    rf"(?: ?(?P<code>{one_of(_CODES)})(?![A-Za-z]| ?\d))?"
)
_SIGN_LAST = re.compile(rf"(?P<quantity>{QUANTITY}) ?(?P<sign>{one_of(_BEHIND)})(?![A-Za-z\d])")
_HUNDREDTHS = re.compile(r"(?P<minus>[-\u2212])?(?P<whole>[\d,]+)\.(?P<part>\d\d?)\Z")

_PERCENT = re.compile(rf"({QUANTITY}) ?[%\u066a\uff05]")


def _sign_first(match: re.Match[str]) -> str:
    currency, scale = (
        _BEFORE[match["code"] or match["sign"]],
        match["scale"] or _LETTERS.get(match["letter"] or "", ""),
    )
    minus = "ลบ" if match["minus"] else ""
    if not (match["last"] or scale):
        return minus + _exact(match["first"], currency)
    numbers = "ถึง".join(number(written) for written in (match["first"], match["last"]) if written)
    return f"{minus}{numbers}{scale}{currency.name}"


def _exact(written: str, currency: _Currency) -> str:
    parts = _HUNDREDTHS.match(written)
    if parts is None or not currency.hundredth:
        return f"{quantity(written)}{currency.name}"
    hundredths = int(parts["part"].ljust(2, "0"))
    words = "ลบ" if parts["minus"] else ""
    if parts["whole"].strip("0,") or not hundredths:
        words += cardinal(parts["whole"]) + currency.name
    return words + (f"{cardinal(str(hundredths))}{currency.hundredth}" if hundredths else "")


RULES = (
    Rule(_SIGN_FIRST, _sign_first),
    Rule(_SIGN_LAST, lambda match: _exact(match["quantity"], _BEHIND[match["sign"]])),
    Rule(_PERCENT, lambda match: f"{quantity(match[1])}เปอร์เซ็นต์"),
)
