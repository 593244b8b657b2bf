"""Signs between and beside numbers, units without a number, and addresses of machines."""

from __future__ import annotations

import re
from collections.abc import Callable

from plugins.latin.amounts import LEFT, amount, one_of, spelled, write_out
from plugins.latin.language import Language, Rule
from speech_engine.text.draft import Draft

_PLACES = {
    "×": r"(?<=[0-9]) ?[x×*] ?(?=[0-9][0-9.,]* ?[=€$£]|R?[$€£])",
    "x": r"(?<=[0-9])(?<!\b0) ?[x×] ?(?=[0-9])",
    "÷": r"(?<=[0-9]) [/÷] (?=[0-9][0-9.,]* =)",
    ">": r"(?<=[0-9]) > (?=[0-9])",
    "<": r"(?<=[0-9]) < (?=[0-9])",
    "=": r"(?<=\w) = (?=\w)",
    "~": r"(?<!\w)~(?= ?[0-9])",
    "≈": "≈(?= ?[0-9])",
    "over": r"(?:(?<=[0-9][.,][0-9])/(?=(?:5|10|20|100)(?![0-9/]|[.,][0-9]))"
    r"|(?<=[0-9])/(?=(?:5|10) (?:stars|estrel|étoiles|stelle)))",
    # A unit such as m² is no square of a letter.
    "²": r"(?:(?<=\b[A-Za-ln-z])|(?<=[0-9]))²(?!\w)",
    "³": r"(?:(?<=\b[A-Za-ln-z])|(?<=[0-9]))³(?!\w)",
}
"""Where a sign means what its name in the table of `language.signs` says. The surest come first. `×` is for
numbers that are multiplied, `x` for sizes such as 2 x 3 m, and `over` for ratings such as 4.5/5."""
_PER = re.compile(
    r"(?<=[\w€$£])/(?:(?=(?:month|day|week|year|hour|night|person|mês|dia|semana|ano|hora|noite|pessoa|mes|día|año"
    r"|noche|persona|mois|jour|semaine|an|heure|nuit|personne|mese|giorno)\b)|(?<=[0-9€$£]/)(?P<unit>kg|km|[lLh]|m²)(?!\w))"
)
"""The stroke before a period or a person, or, with the group `unit`, between an amount and a unit."""
_SIGN = re.compile("[*/÷><=~≈²³]|[0-9] ?[x×]|mph|[0-9]k|1:1")
_OFTEN = re.compile(rf"{LEFT}(?P<count>[0-9]{{1,4}})x(?= [a-zà-ÿ]|[.,;!?]|\Z)")
_THOUSAND = re.compile(rf"{LEFT}(?P<count>[0-9]{{1,3}}[.,][0-9])k(?!\w)")
_ONE_TO_ONE = re.compile(r"(?<![\w.,:/-])1:1(?![\w:]|[.,][0-9])")
_MACHINE = re.compile(r"(?<![\w.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?!\w|\.[0-9])")
_THOUSANDS = re.compile(r"[0-9]+(?:\.[0-9]{3})+")


def rule(language: Language) -> Rule:
    def words_for(sign: str) -> Callable[[re.Match[str]], str]:
        return lambda _: f" {language.tables.signs[sign]} "

    places = [(re.compile(place), words_for(sign)) for sign, place in _PLACES.items()]
    units = [sign for sign in language.tables.units if "/" in sign or sign == "mph"]
    lone = re.compile(rf"(?<![\w/])(?<![0-9][ \u00a0\u202f])(?:{one_of(units)})(?![\w/])")
    one, large = language.cardinal(1, "alone"), language.tables.larges["k"].many
    point = f" {language.tables.signs['.']} "

    def of_machine(match: re.Match[str]) -> str | None:
        if language.point == "," and _THOUSANDS.fullmatch(match[0]):
            return None
        return point.join(spelled(part, language) for part in match[0].split("."))

    def often(match: re.Match[str]) -> str:
        count = language.cardinal(int(match["count"]), "feminine")  # fois, veces, vezes, volte
        return f"{count} {language.tables.signs['often']}"

    def per(match: re.Match[str]) -> str:
        unit = language.tables.units.get(match["unit"] or "")
        return f" {language.tables.signs['per']} {unit.one if unit else ''}"

    def thousand(match: re.Match[str]) -> str:
        return f"{write_out(amount(match['count'], language.point), 'masculine', language)} {large}"

    def decide(draft: Draft) -> None:
        draft.rewrite(_MACHINE, of_machine)
        draft.rewrite(_OFTEN, often)
        if _SIGN.search(draft.open):
            draft.rewrite(_THOUSAND, thousand)
            draft.rewrite(_ONE_TO_ONE, lambda match: f"{one} {language.to} {one}")
            draft.rewrite(_PER, per)
            draft.rewrite(lone, lambda match: language.tables.units[match[0]].many)
            for pattern, spoken in places:
                draft.rewrite(pattern, spoken)

    return decide
