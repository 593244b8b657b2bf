"""Fractions, alone or behind a whole number: `3/4`, `2 1/2`, `½ kg`."""

from __future__ import annotations

import re
import unicodedata

from plugins.latin.amounts import LEFT, RIGHT, SPACE, one_of
from plugins.latin.language import Form, Language, Rule
from speech_engine.text.draft import Draft

_WORD = r"[^\W\d_]+"
_PLAIN = rf"(?:(?P<whole>[0-9]{{1,6}}){SPACE})?(?P<over>[1-9][0-9]?)/(?P<under>[1-9][0-9]{{0,2}})"
_SIGN = rf"(?:(?P<whole>[0-9]{{1,6}}){SPACE}?)?(?P<sign>[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])"


def rule(language: Language) -> Rule:
    # Behind a whole number, the noun moves between the number and the fraction. So the pattern has
    # to include the noun: duas horas e meia.
    behind = (
        rf"(?:{SPACE}?(?P<unit>{one_of(language.tables.units)})(?!\w)"
        rf"|(?(whole){SPACE}(?P<noun>{_WORD})|(?={SPACE}(?P<next>{_WORD}))))?"
    )
    plain = re.compile(rf"{LEFT}{_PLAIN}{RIGHT}{behind}")
    sign = re.compile(rf"{LEFT}{_SIGN}{RIGHT}{behind}")

    def of_plain(match: re.Match[str]) -> str | None:
        return _spoken(match, int(match["over"]), int(match["under"]), language)

    def of_sign(match: re.Match[str]) -> str | None:
        over, under = unicodedata.normalize("NFKC", match["sign"]).split("\u2044")
        return _spoken(match, int(over), int(under), language)

    def decide(draft: Draft) -> None:
        draft.rewrite(plain, of_plain)
        draft.rewrite(sign, of_sign)

    return decide


def _spoken(match: re.Match[str], over: int, under: int, language: Language) -> str | None:
    if not 0 < over < under:
        return None
    behind = match["noun"] or ""
    unit = language.tables.units.get(match["unit"] or "")
    form: Form = unit.form if unit else language.form(1, "", (behind or match["next"] or "").lower())
    fraction = language.fraction(over, under, form)
    if fraction is None:
        return None
    if match["whole"] is None:
        if unit is None:
            return fraction
        # A half agrees with its noun, and stands before it like an adjective: meio quilo.
        of = (
            ""
            if fraction == language.fraction(1, 2, form) and form != "alone" and language.of
            else f"{language.of_a} "
        )
        return language.elided(f"{fraction} {of}{unit.one}")
    whole = int(match["whole"])
    number = language.cardinal(whole, form)
    if unit:
        return language.mixed(number, fraction, unit.one if language.is_one(whole, True) else unit.many)
    if form == "alone":
        return f"{language.mixed(number, fraction, '')} {behind}".rstrip()
    # The text has the plural, because the amount is more than one: 1 1/2 horas.
    has_plural = whole == 1 and behind.endswith(("as", "os"))
    return language.mixed(number, fraction, behind[:-1] if has_plural else behind)
