"""Spanish, with the differences between countries in writing and in speech."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

from plugins.latin.amounts import INNER_STOP, LEFT
from plugins.latin.language import Form, Language, Patterns, Roman, Time, agreement, day_month_year, in_order
from plugins.latin.rules.abbreviations import before_names
from plugins.latin.rules.dates import weekdays
from plugins.latin.rules.ordinals import after, as_cardinal, as_century, as_feminine_ordinal, before, rulers
from plugins.latin.rules.spelled import ABROAD, CARD
from plugins.latin.rules.spelled import after as behind
from plugins.latin.spanish.numbers import cardinal, ordinal
from plugins.latin.spanish.tables import NOUNS, PESO, TABLES

MONTHS = in_order("enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre")
_MONTH_NAMES = {name[:length]: number for number, name in enumerate(MONTHS, 1) for length in (3, len(name))}
_MONTH_NAMES |= {"setiembre": 9, "sept": 9}
_MONTH = rf"(?P<month>(?i:{'|'.join(sorted(_MONTH_NAMES, key=len, reverse=True))}))"
_DATE = re.compile(
    rf"{LEFT}(?P<day>[0-9]{{1,2}})(?:\.?[º°])? (?:de )?{_MONTH}(?!\w)(?:{INNER_STOP})?"
    r"(?:,? (?:del? )?(?P<year>[0-9]{4})(?![\w/:]|[.,-][0-9]))?"
)
_WEEKDAYS = {day[:3]: day for day in in_order("lunes martes miércoles jueves viernes sábado domingo")}
_KINGS = rulers(
    "Felipe Carlos Alfonso Fernando Pablo Pedro Enrique Luis Juan "
    "Benedicto Pío León Gregorio Francisco Jorge Guillermo Jaime Sancho Napoleón"
)

PATTERNS = Patterns(
    month_names=_MONTH_NAMES,
    dates=(_DATE,),
    date_cue=re.compile(r"\b(?:el|del|al|día) $", re.IGNORECASE),
    ordinals={
        "º": "alone",
        "ª": "feminine",
        ".er": "masculine",
        "er": "masculine",
    },
    romans=(
        Roman(before("Guerra Mundial"), as_feminine_ordinal),
        Roman(rulers("Isabel Catalina María"), as_feminine_ordinal),
        Roman(_KINGS, as_century),
        Roman(after("siglo", "s.", "ss."), as_century),
        Roman(
            after("capítulo", "cap.", "volumen", "tomo", "acto", "parte", "artículo", "vol.", "art."),
            as_cardinal,
        ),
    ),
    spelled=(
        ABROAD,
        CARD,
        re.compile(r"(?<![\w.,-])\([0-9]{2,4}\) ?[0-9]{3,4}[ -][0-9]{4}(?![\w-])"),
        re.compile(r"(?<![\w.,-])[6-9][0-9]{2} [0-9]{3} [0-9]{3}(?![\w-])"),
        behind("tel", "teléfono", "tfno", "fono", "celular", "cel", "móvil", "llame al", "whatsapp", "fax"),
    ),
    own=(
        weekdays(_WEEKDAYS, "a", _MONTH_NAMES, "a"),
        before_names(
            "D",
            {
                "don": "Quijote Luis Juan Pedro Carlos José Manuel Antonio Francisco Miguel Felipe Fernando "
                "Alfonso Jaime Rafael Pablo",
                "doña": "Ana María Isabel Carmen Juana Leonor Teresa Catalina",
            },
        ),
        before_names(
            "S",
            {
                "San": "Juan Pedro Pablo José Francisco Miguel Sebastián Luis Antonio Jorge Andrés Vicente",
                "Santo": "Domingo Tomás Toribio",
            },
        ),
    ),
)


_WITH_POINT = frozenset(in_order("MX US GT HN NI PA PE PR SV DO"))
_WITH_PESOS = frozenset(in_order("MX AR CO CL UY CU DO"))
_UNDER = in_order("- - medio tercio cuarto quinto sexto séptimo octavo noveno décimo")


@cache
def _spanish(has_point: bool, has_pesos: bool, is_european: bool) -> Language:
    first = "uno" if is_european else "primero"

    return Language(
        point="." if has_point else ",",
        thousands=r", \u00a0\u202f" if has_point else r". \u00a0\u202f",
        marks={",": "coma", ".": "punto"},
        minus="menos",
        plus="más",
        to="a",
        of="de",
        of_year="de",
        metres="",
        of_a="de",
        cents="con",
        cardinal=cardinal,
        ordinal=ordinal,
        year=cardinal,
        date=day_month_year(first, cardinal, MONTHS, " de "),
        clock=_clock,
        until=lambda time: "a",
        fraction=_fraction,
        mixed=_mixed,
        form=agreement(NOUNS),
        tables=replace(TABLES, currencies={**TABLES.currencies, "$": PESO}) if has_pesos else TABLES,
        patterns=PATTERNS,
    )


def spanish(region: str) -> Language:
    return _spanish(region in _WITH_POINT, region in _WITH_PESOS, region == "ES")


def _clock(time: Time) -> str:
    hour, minute = cardinal(time.hour, "feminine"), cardinal(time.minute)
    name = "hora" if time.hour == 1 else "horas"
    half = f" de la {_part(time)}" if time.half else ""
    if time.second is not None:
        return f"{hour} {name}, {_counted(time.minute, 'minuto')} y {_counted(time.second, 'segundo')}{half}"
    if not time.minute:
        return f"{hour}{half}" if half else f"{hour} {name}"
    spoken = f"{hour} y {minute}" if time.minute < 10 else f"{hour} {minute}"
    return f"{spoken} {name}" if time.has_hours else f"{spoken}{half}"


def _part(time: Time) -> str:
    if time.half == "a":
        return "mañana"
    return "noche" if 8 <= time.hour < 12 else "tarde"


def _counted(number: int, noun: str) -> str:
    return f"{cardinal(number, 'masculine')} {noun}{'' if number == 1 else 's'}"


def _fraction(over: int, under: int, form: Form) -> str | None:
    if (over, under) == (1, 2):
        return {"feminine": "media", "masculine": "medio", "alone": "un medio"}[form]
    number = cardinal(over, "masculine")
    if under < len(_UNDER):
        return f"{number} {_UNDER[under]}{'s' if over > 1 else ''}"
    name = cardinal(under).replace(" y ", "i").replace(" ", "")
    return f"{number} {name}avo{'s' if over > 1 else ''}"


def _mixed(number: str, fraction: str, noun: str) -> str:
    fraction = "medio" if fraction == "un medio" else fraction
    return f"{number} {noun} y {fraction}" if noun else f"{number} y {fraction}"
