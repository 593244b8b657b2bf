"""Portuguese of Brazil, of Portugal and of other countries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from plugins.latin.agreement import agreement
from plugins.latin.language import Form, Language, Time, Unit, in_order
from plugins.latin.portuguese import numbers
from plugins.latin.portuguese.patterns import MONTHS, PATTERNS
from plugins.latin.portuguese.tables import NOUNS, TABLES

_BRAZILIAN = frozenset(("", "BR"))
_UNDER = in_order("- - meio terço quarto quinto sexto sétimo oitavo nono décimo")


@cache
def _portuguese(is_brazilian: bool) -> Language:
    cardinal = numbers.brazilian if is_brazilian else numbers.portuguese
    first = "primeiro" if is_brazilian else "um"

    def date(day: int, month: int, year: str, day_first: bool) -> str:
        del day_first
        said = f"{first if day == 1 else cardinal(day)} de {MONTHS[month - 1]}"
        return f"{said} de {year}" if year else said

    def fraction(over: int, under: int, form: Form) -> str | None:
        if (over, under) == (1, 2):
            return {"feminine": "meia", "masculine": "meio", "alone": "um meio"}[form]
        if under < len(_UNDER):
            return f"{cardinal(over)} {_UNDER[under]}{'s' if over > 1 else ''}"
        return f"{cardinal(over)} {cardinal(under)} avos"

    def ordinal(number: int, form: Form = "alone") -> str:
        return numbers.ordinal(number, form) or cardinal(number, form)

    def clock(time: Time) -> str:
        return _clock(
            time, cardinal(time.hour, "feminine"), cardinal(time.minute), cardinal(time.second or 0)
        )

    return Language(
        point=",",
        thousands=r". \u00a0\u202f",
        marks={",": "vírgula", ".": "ponto"},
        minus="menos",
        plus="mais",
        to="a",
        of="de",
        of_a="de",
        cents="e",
        spells_decimals=False,
        cardinal=cardinal,
        ordinal=ordinal,
        year=cardinal,
        date=date,
        clock=clock,
        until=lambda time: "à" if time.hour == 1 else "às",
        fraction=fraction,
        mixed=_mixed,
        # Brazil's office of measures puts amounts below two in the singular: 1,5 litro.
        is_one=lambda whole, has_decimals: whole < 2,
        form=agreement(NOUNS),
        day_first=True,
        tables=TABLES if is_brazilian else replace(TABLES, units=_in_portugal(TABLES.units)),
        patterns=PATTERNS,
    )


def portuguese(region: str) -> Language:
    return _portuguese(region in _BRAZILIAN)


def _clock(time: Time, hour: str, minute: str, second: str) -> str:
    name = "hora" if time.hour < 2 else "horas"
    parts = {"a": "manhã", "p": "noite" if 7 <= time.hour < 12 else "tarde"}
    half = f" da {parts[time.half]}" if time.half else ""
    if time.second is not None:
        return f"{hour} {name}, {_counted(minute, 'minuto')} e {_counted(second, 'segundo')}{half}"
    if not time.minute:
        return f"{hour}{half}" if half else f"{hour} {name}"
    if time.has_hours:
        return f"{hour} {name} e {_counted(minute, 'minuto')}"
    return f"{hour} {'hora ' if not time.hour else ''}e {minute}{half}"


def _counted(number: str, noun: str) -> str:
    return f"{number} {noun}" if number == "um" else f"{number} {noun}s"


def _mixed(number: str, fraction: str, noun: str) -> str:
    fraction = "meio" if fraction == "um meio" else fraction
    return f"{number} {noun} e {fraction}" if noun else f"{number} e {fraction}"


def _in_portugal(units: Mapping[str, Unit]) -> Mapping[str, Unit]:
    return {
        sign: unit._replace(one=unit.one.replace("ô", "ó"), many=unit.many.replace("ô", "ó"))
        for sign, unit in units.items()
    }
