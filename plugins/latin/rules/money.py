"""Amounts of money: the sign or the code of the currency stands before the number or after it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from plugins.latin.amounts import DASH, RIGHT, SIGNED, SPACE, Amount, amount, one_of, write_out, written_money
from plugins.latin.language import MILLION, Currency, Form, Language, Rule
from plugins.latin.rules.measures import is_attribute
from speech_engine.text.draft import Draft

_CODE = re.compile("[A-Z]{3}")
# No such character may stand beside an amount.
_WORD_OR_SIGN = r"[\w$€£₦¥]"


def rule(language: Language) -> Rule:
    """Return the rule that writes out amounts of money in this language."""
    number = written_money(language)
    large = rf"(?:{SPACE}?(?P<large>{one_of(language.tables.larges)})(?!\w))?"
    signs = [sign for sign in language.tables.currencies if len(sign) > 1 or not sign.isalpha()]
    # A single letter is a sign only if a digit follows it immediately: N500.
    letters = "".join(f"|{sign}(?=[0-9])" for sign in language.tables.currencies if sign not in signs)
    # A name such as euro stands only behind its number.
    before = [sign for sign in signs if not sign.islower()]
    codes = one_of(filter(_CODE.fullmatch, signs))
    first = rf"(?P<first>{number})(?:{DASH}"
    last = rf"(?P<last>{number}))?{large}"
    sign_first = re.compile(
        rf"(?<!{_WORD_OR_SIGN})(?P<minus>[−-])?(?P<sign>{one_of(before)}{letters}){SPACE}?(?P<inner>[−-])?"
        rf"{first}(?P=sign)?{last}"
        # Many currencies have the sign $. A code after the number tells which one is meant: $20 USD.
        rf"(?:{SPACE}?(?P<code>{codes})(?!{SPACE}?[0-9]))?{RIGHT}"
    )
    sign_last = re.compile(rf"{SIGNED}{first}{last}{SPACE}?(?P<sign>{one_of(signs)})(?!{_WORD_OR_SIGN})")

    def replacement(match: re.Match[str]) -> str:
        groups = match.groupdict()
        minus = f"{language.minus} " if groups["minus"] or groups.get("inner") else ""
        return language.elided(minus + _spoken_money(groups, is_attribute(match, language), language))

    def rewrite_money(draft: Draft) -> None:
        draft.rewrite(sign_first, replacement)
        draft.rewrite(sign_last, replacement)

    return rewrite_money


def _spoken_money(groups: Mapping[str, str | None], is_attribute: bool, language: Language) -> str:
    """Return the words of a matched amount: `$2-3 million` is two to three million dollars."""
    currency = language.tables.currencies[groups.get("code") or groups["sign"] or ""]
    numbers = [amount(written, language.point) for written in (groups["first"], groups["last"]) if written]
    last = numbers[-1]
    if large := language.tables.larges.get(groups["large"] or ""):
        form: Form = "masculine" if large.is_noun else currency.form
        words = f" {language.to} ".join(write_out(one, form, language) for one in numbers)
        if not large.is_noun and numbers == [Amount("1")] and language.of:
            words = ""  # one thousand has no "one" in such languages: mil reais
        large_name = large.one if language.is_one(last.whole, bool(last.decimals)) else large.many
        of_word = f"{language.of} " if large.is_noun and language.of else ""
        return f"{words} {large_name} {of_word}{currency.one if is_attribute else currency.many}".lstrip()
    if len(numbers) > 1 or last.is_spelled or len(last.decimals) > 2 or (last.decimals and not currency.cent):
        words = f" {language.to} ".join(write_out(one, currency.form, language) for one in numbers)
        return f"{words} {currency.many}"
    return _with_cents(last, currency, is_attribute, language)


def _with_cents(number: Amount, currency: Currency, is_attribute: bool, language: Language) -> str:
    cents = int(number.decimals.ljust(2, "0"))
    words = []
    if number.whole or not cents:
        # A noun such as milhão needs an "of": um milhão de reais.
        of_word = f"{language.of} " if language.of and number.whole and number.whole % MILLION == 0 else ""
        name = currency.one if number.whole == 1 or (is_attribute and not cents) else currency.many
        words.append(f"{language.cardinal(number.whole, currency.form)} {of_word}{name}")
    if cents:
        name = currency.cent if cents == 1 else currency.cents
        is_named = language.names_cents or not words or cents < 10
        words.append(
            f"{language.cardinal(cents, 'masculine' if is_named else 'alone')} {name if is_named else ''}"
        )
    return f" {language.cents} ".join(words).rstrip()
