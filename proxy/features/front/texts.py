"""The texts of the front: a flat JSON file for each language; numbers and prices as people write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from policies.language import base_tag
from policies.plans import Minutes
from proxy.api.front import LANGUAGES

_FOLDER = Path(__file__).parent / "texts"
_WITH_COMMA = ("es", "pt")
_SIGNS = {"BRL": "R$ ", "EUR": "€ ", "GBP": "£", "INR": "₹", "MXN": "MX$", "THB": "฿"}
_COMMAS = str.maketrans(",.", ".,")
_CENT = Decimal("0.01")
_PAGE_CHARACTERS = 1800


@cache
def _texts(language: str) -> Mapping[str, str]:
    return msgspec.json.decode((_FOLDER / f"{language}.json").read_bytes(), type=dict[str, str])


def pages_of(characters: int) -> int:
    """Return how many pages of a book a text has: two digits, rounded down, and never none."""
    pages = max(1, characters // _PAGE_CHARACTERS)
    unit: int = 10 ** max(0, len(str(pages)) - 2)
    return pages // unit * unit


def language_of(wanted: str, accepted: str) -> str:
    """Return a language of the front: the one that is `wanted` by name, else the first of Accept-Language."""
    if wanted in LANGUAGES:
        return wanted
    ours = {base_tag(tag): tag for tag in LANGUAGES}
    weighed = [_weighted_tag(part) for part in accepted[:500].split(",")]
    found = [(weight, -place, ours[tag]) for place, (tag, weight) in enumerate(weighed) if tag in ours]
    return max(found)[2] if found else LANGUAGES[0]


def _weighted_tag(part: str) -> tuple[str, float]:
    tag, _, weight = part.partition(";")
    number = re.fullmatch(r"\s*q=([01](?:\.\d{0,3})?)\s*", weight)
    return base_tag(tag.strip().lower()), float(number[1]) if number else 0.0 if weight.strip() else 1.0


class Texts(NamedTuple):
    """The texts of one language."""

    language: str

    def __call__(self, key: str, **values: object) -> str:
        return _texts(self.language)[key].format_map(values)

    def language_name(self, tag: str) -> str:
        known = _texts(self.language)
        return known.get(f"name.{tag}") or known.get(f"name.{base_tag(tag)}") or tag

    def time(self, minutes: float) -> str:
        whole = max(1, int(minutes))
        return self("minute") if whole == 1 else self("minutes", m=self.number(whole))

    def speech(self, minutes: Minutes) -> str:
        return self("about" if minutes.is_about else "speech", time=self.time(minutes.number))

    def number(self, value: float) -> str:
        text = f"{value:,.2f}".rstrip("0").rstrip(".")
        return text.translate(_COMMAS) if base_tag(self.language) in _WITH_COMMA else text

    def price(self, amount: Decimal, currency: str) -> str:
        """Return an amount: two decimals, none for a whole number, more for less than a cent."""
        if amount == amount.to_integral_value():
            text = f"{amount:.0f}"
        else:
            text = f"{amount:.2f}" if amount >= _CENT else f"{amount:.4f}"
        if base_tag(self.language) in _WITH_COMMA:
            text = text.translate(_COMMAS)
        sign = self("usd") if currency == "USD" else _SIGNS.get(currency, f"{currency} ")
        return f"{sign}{text}"
