"""Portuguese of Brazil, of Portugal and of other countries."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial

from plugins.latin.amounts import INNER_STOP, LEFT
from plugins.latin.language import (
    Form,
    Language,
    Patterns,
    Roman,
    Time,
    Unit,
    agreement,
    day_month_year,
    in_order,
)
from plugins.latin.portuguese import numbers
from plugins.latin.portuguese.numbers import ordinal
from plugins.latin.portuguese.tables import NOUNS, TABLES
from plugins.latin.rules.abbreviations import before_names
from plugins.latin.rules.dates import weekdays
from plugins.latin.rules.ordinals import after, as_cardinal, as_century, as_feminine_ordinal, before, rulers
from plugins.latin.rules.spelled import ABROAD, CARD
from plugins.latin.rules.spelled import after as behind
from speech_engine.text.draft import Draft

MONTHS = in_order("janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro")
_MONTH_NAMES = {name[:length]: number for number, name in enumerate(MONTHS, 1) for length in (3, len(name))}
_MONTH = rf"(?P<month>(?i:{'|'.join(MONTHS)}|{'|'.join(name[:3] for name in MONTHS)}\b))"
_DATE = re.compile(
    rf"{LEFT}(?P<day>[0-9]{{1,2}})(?:\.?[º°]|o)? (?:de )?{_MONTH}(?!\w)(?:{INNER_STOP})?"
    r"(?:,? (?:de )?(?P<year>[0-9]{4})(?![\w/:]|[.,-][0-9]))?"
)
# An `R.` is a street only if the text around it is an address: na R. Augusta; R. Augusta, 100.
_STREET = re.compile(
    r"(?=R\. [A-ZÀ-Þ])(?<!\w)"
    r"(?:(?<=\b[nd]a )|(?<=\b[AÀaà] )|(?<![\w.] )(?=R\. [^,.\n]{2,40}, n?[.º]? ?[0-9]))R\."
)


# Ordinals that are typed without the sign: 3a feira, 1o e 2o lugares. A noun has to follow, because
# an `item 3a` is no third.
_NO_NOUN = "a|o|as|os|de|d[ao]s?|n[ao]s?|em|para|por|com|que|é|ou|se|ao|à"
_TYPED = re.compile(
    rf"{LEFT}(?P<number>[1-9][0-9]?)(?P<gender>[ao])(?P<plural>s?)"
    rf"(?= (?:(?:e|ou|a|à) [1-9][0-9]?(?P=gender)s? )?(?!(?:{_NO_NOUN}|e)\b)[a-zà-ÿ]{{2}})"
)


_WEEKDAYS = {day[:3]: day for day in in_order("segunda terça quarta quinta sexta sábado domingo")}
# In Brazil, the goals of two teams have an x between them: 2 x 1. A format of paper is no game.
_GOALS = re.compile(
    rf"(?<!foto )(?<!fotos )(?<!papel ){LEFT}(?P<first>[0-9])(?P<x> ?[xX×] ?)(?P<last>[0-9])"
    r"(?![\w]|[.,][0-9]| ?=| ?(?:[cm]?m|km)\b)"
)
_FIRST = re.compile(rf"{LEFT}1º/(?P<month>0?[1-9]|1[0-2])(?![\w/]|[.,][0-9])")


# A time of day is said without the words for hours and minutes, unlike a length of time.
_AT = re.compile(
    r"(?:(?<=\b[Àà]s )|(?<=\b[Dd]as ))(?P<hour>1?[0-9]|2[0-3])h(?P<minute>[0-5][0-9])"
    r"(?:min)?(?!\w| ?[-–] ?[0-9])"
)


def _at(cardinal: Callable[[int, Form], str], draft: Draft) -> None:
    def spoken(match: re.Match[str]) -> str | None:
        hour, minute = int(match["hour"]), int(match["minute"])
        return f"{cardinal(hour, 'feminine')} e {cardinal(minute, 'alone')}" if hour and minute else None

    draft.rewrite(_AT, spoken)


def _goals(draft: Draft) -> None:
    draft.rewrite(
        _GOALS,
        lambda match: f"{numbers.brazilian(int(match['first']))} a {numbers.brazilian(int(match['last']))}",
    )


def _typed_ordinals(draft: Draft) -> None:
    def spoken(match: re.Match[str]) -> str:
        singular = ordinal(int(match["number"]), "feminine" if match["gender"] == "a" else "masculine")
        return " ".join(f"{word}{match['plural']}" for word in singular.split())

    draft.rewrite(_TYPED, spoken)


_KINGS = rulers(
    "Pedro João Luís Henrique Carlos Afonso Sebastião Manuel "
    "Filipe Paulo Bento Pio Leão Gregório Francisco Jorge Guilherme Napoleão"
)

PATTERNS = Patterns(
    month_names=_MONTH_NAMES,
    dates=(_DATE,),
    date_cue=re.compile(r"\bdia $", re.IGNORECASE),
    ordinals={"º": "alone", "ª": "feminine"},
    romans=(
        Roman(before("Guerra Mundial"), as_feminine_ordinal),
        Roman(rulers("Isabel Maria Catarina"), as_feminine_ordinal),
        Roman(_KINGS, as_century),
        Roman(after("século", "séc."), as_century),
        Roman(
            after(
                "capítulo",
                "cap.",
                "volume",
                "vol.",
                "tomo",
                "ato",
                "parte",
                "artigo",
                "art.",
                "inciso",
                "inc.",
            ),
            as_cardinal,
        ),
    ),
    spelled=(
        ABROAD,
        CARD,
        re.compile(r"(?<![\w.,-])\(?0?[0-9]{2}\)? ?(?:9 ?)?[0-9]{4}-[0-9]{4}(?![\w-])"),
        re.compile(r"(?<![\w.,-])\(?0?[0-9]{2}\)? 9 ?[0-9]{4} [0-9]{4}(?![\w-])"),
        # Telephone numbers of a house. If these were years, they would begin with a 1 or with 20.
        re.compile(r"(?<![\w.,-])(?:2[1-9]|[3-5][0-9])[0-9]{2}-[0-9]{4}(?![\w-])"),
        re.compile(r"(?<![\w.,-])9[0-9]{4}-[0-9]{4}(?![\w-])"),
        # Telephone numbers of Portugal. If the digits end in zeros, or count something, they are a
        # large number instead.
        re.compile(
            r"(?<![\w.,-])(?:2[1-9]|9[1236])[0-9] [0-9]{3} (?!000)[0-9]{3}"
            r"(?![\w-]| ?[€$%]|[.,][0-9]| [a-z]+s\b)"
        ),
        re.compile(r"(?<![\w.,-])0800[ -]?[0-9]{3}[ -]?[0-9]{4}(?![\w-])"),
        re.compile(r"(?<![\w.,-])[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}(?![\w-])"),
        re.compile(r"(?<![\w.,-])[0-9]{2}\.[0-9]{3}\.[0-9]{3}/[0-9]{4}-[0-9]{2}(?![\w-])"),
        re.compile(r"(?<![\w.,-])[0-9]{5}-[0-9]{3}(?![\w-])"),
        behind("tel", "telefone", "fone", "celular", "cel", "ligue", "whatsapp", "zap", "fax"),
    ),
    own=(
        lambda draft: draft.rewrite(_STREET, lambda match: "rua"),
        _goals,
        lambda draft: draft.rewrite(_FIRST, lambda match: f"primeiro de {MONTHS[int(match['month']) - 1]}"),
        weekdays(_WEEKDAYS, "a", _MONTH_NAMES, "[aà]"),
        _typed_ordinals,
        before_names(
            "D",
            {
                "dom": "Pedro João Luís Henrique Carlos Afonso Sebastião Manuel Miguel Dinis Duarte Fernando",
                "dona": "Maria Leopoldina Isabel Catarina Ana Amélia Teresa Francisca Carlota Inês",
            },
        ),
        before_names(
            "S",
            {
                "São": "Paulo Pedro João José Francisco Luís Miguel Sebastião Bernardo Jorge Bento Vicente",
                "Santo": "Antônio António André Amaro",
            },
        ),
    ),
)


_BRAZILIAN = frozenset(("", "BR"))
_UNDER = in_order("- - meio terço quarto quinto sexto sétimo oitavo nono décimo")


@cache
def _portuguese(is_brazilian: bool) -> Language:
    cardinal = numbers.brazilian if is_brazilian else numbers.portuguese
    first = "primeiro" if is_brazilian else "um"

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
        marks={",": "vírgula", ".": "ponto"},
        minus="menos",
        plus="mais",
        to="a",
        of="de",
        of_year="de",
        metres="e",
        of_a="de",
        cents="e",
        cardinal=cardinal,
        ordinal=ordinal,
        year=cardinal,
        date=day_month_year(first, cardinal, MONTHS, " de "),
        clock=clock,
        until=lambda time: "à" if time.hour == 1 else "às",
        fraction=fraction,
        mixed=_mixed,
        # Brazil's office of measures puts amounts below two in the singular: 1,5 litro.
        is_one=lambda whole, has_decimals: whole < 2,
        form=agreement(NOUNS),
        tables=TABLES if is_brazilian else replace(TABLES, units=_in_portugal(TABLES.units)),
        patterns=replace(PATTERNS, own=(partial(_at, cardinal), *PATTERNS.own)),
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
