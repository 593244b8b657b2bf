"""Money, with its sign or code before or behind the number."""

from __future__ import annotations

import re
from collections.abc import Mapping

from plugins.latin.amounts import DASH, RIGHT, SIGNED, SPACE, Amount, amount, one_of, write_out, written_money
from plugins.latin.language import MILLION, Currency, Form, Language, Rule
from plugins.latin.rules.measures import is_attribute
from speech_engine.text.draft import Draft

_CODE = re.compile("[A-Z]{3}")
_NOT_WITHIN = r"[\w$€£₦¥]"


def rule(language: Language) -> Rule:
    number = written_money(language)
    large = rf"(?:{SPACE}?(?P<large>{one_of(language.tables.larges)})(?!\w))?"
    signs = [sign for sign in language.tables.currencies if len(sign) > 1 or not sign.isalpha()]
    # A single letter is a sign only right before its number: N500.
    letters = "".join(f"|{sign}(?=[0-9])" for sign in language.tables.currencies if sign not in signs)
    codes = one_of(filter(_CODE.fullmatch, signs))
    first = rf"(?P<first>{number})(?:{DASH}"
    last = rf"(?P<last>{number}))?{large}"
    before = re.compile(
        rf"(?<!{_NOT_WITHIN})(?P<minus>[−-])?(?P<sign>{one_of(signs)}{letters}){SPACE}?(?P<inner>[−-])?"
        rf"{first}(?P=sign)?{last}"
        # Many countries write $. A code behind the number names the country: $20 USD.
        rf"(?:{SPACE}?(?P<code>{codes})(?!{SPACE}?[0-9]))?{RIGHT}"
    )
    behind = re.compile(rf"{SIGNED}{first}{last}{SPACE}?(?P<sign>{one_of(signs)})(?!{_NOT_WITHIN})")

    def spoken(match: re.Match[str]) -> str:
        found = match.groupdict()
        minus = f"{language.minus} " if found["minus"] or found.get("inner") else ""
        return minus + _money(found, is_attribute(match, language), language)

    def decide(draft: Draft) -> None:
        draft.rewrite(before, spoken)
        draft.rewrite(behind, spoken)

    return decide


def _money(found: Mapping[str, str | None], is_attribute: bool, language: Language) -> str:
    currency = language.tables.currencies[found.get("code") or found["sign"] or ""]
    numbers = [amount(written, language.point) for written in (found["first"], found["last"]) if written]
    last = numbers[-1]
    if large := language.tables.larges.get(found["large"] or ""):
        form: Form = "masculine" if large.is_noun else currency.form
        words = f" {language.to} ".join(write_out(one, form, language) for one in numbers)
        if not large.is_noun and numbers == [Amount("1")] and language.of:
            words = ""  # no number stands before a single thousand: mil reais
        name = large.one if language.is_one(last.whole, bool(last.decimals)) else large.many
        of = f"{language.of} " if large.is_noun and language.of else ""
        return f"{words} {name} {of}{currency.one if is_attribute else currency.many}".lstrip()
    if len(numbers) > 1 or last.is_spelled or len(last.decimals) > 2:
        words = f" {language.to} ".join(write_out(one, currency.form, language) for one in numbers)
        return f"{words} {currency.many}"
    return _with_cents(last, currency, is_attribute, language)


def _with_cents(number: Amount, currency: Currency, is_attribute: bool, language: Language) -> str:
    cents = int(number.decimals.ljust(2, "0"))
    words = []
    if number.whole or not cents:
        of = f"{language.of} " if language.of and number.whole and number.whole % MILLION == 0 else ""
        name = currency.one if number.whole == 1 or (is_attribute and not cents) else currency.many
        words.append(f"{language.cardinal(number.whole, currency.form)} {of}{name}")
    if cents:
        words.append(
            f"{language.cardinal(cents, 'masculine')} {currency.cent if cents == 1 else currency.cents}"
        )
    return f" {language.cents} ".join(words)
