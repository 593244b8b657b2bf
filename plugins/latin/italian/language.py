"""Italian."""

from __future__ import annotations

import re
from functools import cache, partial

from plugins.latin.amounts import INNER_STOP, LEFT, one_of
from plugins.latin.italian.numbers import cardinal, ordinal
from plugins.latin.italian.tables import NOUNS, TABLES
from plugins.latin.language import Form, Language, Patterns, Roman, Time, agreement, day_month_year, in_order
from plugins.latin.rules.abbreviations import before_names
from plugins.latin.rules.dates import weekdays
from plugins.latin.rules.ordinals import after, as_cardinal, as_feminine_ordinal, as_ordinal, before, rulers
from plugins.latin.rules.spelled import ABROAD, CARD
from plugins.latin.rules.spelled import after as behind
from speech_engine.text.draft import Draft

MONTHS = in_order(
    "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre"
)
_MONTH_NAMES = {name[:length]: number for number, name in enumerate(MONTHS, 1) for length in (3, len(name))}
_MONTH_NAMES |= {"sett": 9}
_DATE = re.compile(
    rf"{LEFT}(?P<day>[0-9]{{1,2}})[°º]? (?P<month>(?i:{one_of(_MONTH_NAMES)}))(?!\w)(?:{INNER_STOP})?"
    r"(?:,? (?:del )?(?P<year>[0-9]{4})(?![\w/:]|[.,-][0-9]))?"
)
_WEEKDAYS = {day[:3]: day for day in in_order("lunedì martedì mercoledì giovedì venerdì sabato domenica")}
_form = agreement(NOUNS)

# Hours with a full stop, behind a word for a time: alle 9.30.
_HOUR = r"(?:[01]?[0-9]|2[0-4])"
_UNTIL = rf" ?[-–] ?(?P<to_hour>{_HOUR})\.(?P<to_minute>[0-5][0-9])"
_TIME = re.compile(
    rf"{LEFT}(?P<hour>{_HOUR})\.(?P<minute>[0-5][0-9])(?:{_UNTIL})?"
    r"(?![\w%€]|[.,:-][0-9]| ?(?:€|%|euro|milion|miliard|punt))"
)
_TIME_CUE = re.compile(
    r"\b(?:alle|dalle|ore|delle|sulle|verso le|entro le|dopo le|prima delle|fino alle|h) $", re.I
)
_FIRST = re.compile(rf"(?<=[lL][’'])1(?= (?:{one_of(MONTHS)})\b)")
_ONE_O_CLOCK = re.compile(r"(?<=[aA]ll[’'])1(?!\w|[.,:/][0-9]| ?%| per cento)")

# The article of a single thing depends on its gender and on its first sounds: un'ora, uno studente.
_ONE = re.compile(rf"{LEFT}1 (?=(?P<noun>[a-zàèéìòù]{{3,}}))")
_BEFORE = re.compile(r"([^\W\d_]+) $")
_HARD = re.compile("s[^aeiou]|z|gn|ps|pn|x|y")

# A degree sign behind a number is an ordinal, if a noun follows: 2° piano.
_NO_NOUN = "|".join(
    (*(set(NOUNS.others) - set(MONTHS)), "gradi", "all", "dell", "centigradi", "celsius", "nord", "sud")
)
_ORDINAL = re.compile(
    rf"{LEFT}(?P<number>[1-9][0-9]{{0,2}})[°º]"
    rf"(?= (?:e [0-9]{{1,3}}[°º] )?(?!(?:{_NO_NOUN})\b)(?P<noun>[^\W\d_]{{3,}}))"
)


def _times(draft: Draft) -> None:
    def spoken(match: re.Match[str]) -> str | None:
        is_timetable = match["to_hour"] and {match["minute"], match["to_minute"]} <= {"00", "15", "30", "45"}
        if not (is_timetable or _TIME_CUE.search(match.string, max(0, match.start() - 16), match.start())):
            return None
        first = _clock(Time(int(match["hour"]), int(match["minute"])))
        if match["to_hour"] is None:
            return first
        return f"{first} alle {_clock(Time(int(match['to_hour']), int(match['to_minute'])))}"

    draft.rewrite(_TIME, spoken)
    draft.rewrite(_ONE_O_CLOCK, lambda match: "una")
    draft.rewrite(_FIRST, lambda match: "uno")


def _ones(draft: Draft) -> None:
    def spoken(match: re.Match[str]) -> str | None:
        noun = match["noun"]
        before_one = _BEFORE.search(match.string, max(0, match.start() - 32), match.start())
        form = _form(1, before_one[1].lower() if before_one else "", noun)
        if form == "alone" or noun in TABLES.units or noun in TABLES.larges:
            return None
        if form == "feminine":
            return "un'" if noun[0] in "aeiouàèéìòù" else "una "
        return "uno " if _HARD.match(noun) else "un "

    draft.rewrite(_ONE, spoken)


def _ordinals(draft: Draft) -> None:
    draft.rewrite(_ORDINAL, lambda match: ordinal(int(match["number"]), _form(1, "", match["noun"].lower())))


PATTERNS = Patterns(
    month_names=_MONTH_NAMES,
    dates=(_DATE,),
    date_cue=re.compile(r"(?:\b(?:il|dal|al|del|entro il|giorno) |[lL]['’])$", re.IGNORECASE),
    ordinals={"º": "alone", "ª": "feminine", "°": "alone"},
    romans=(
        Roman(before("[Gg]uerra [Mm]ondiale"), as_feminine_ordinal),
        Roman(before(r"(?:[Ss]ecolo|sec\.)"), as_ordinal),
        Roman(after("secolo", "sec."), as_ordinal),
        Roman(rulers("Elisabetta Caterina Maria Isabella Giovanna Cristina Margherita"), as_feminine_ordinal),
        Roman(
            rulers(
                "Emanuele Umberto Carlo Luigi Enrico Filippo Giovanni Paolo Pio Leone Benedetto Gregorio "
                "Innocenzo Clemente Urbano Bonifacio Sisto Giulio Alessandro Federico Ferdinando "
                "Francesco Napoleone Giorgio Edoardo Riccardo Giacomo Guglielmo Pietro Alfonso Amedeo "
                "Ludovico Ottone Nicola Ramses Tolomeo Costantino Felipe Dario Ivan Cosimo Lorenzo "
                "Adriano Callisto"
            ),
            as_ordinal,
        ),
        Roman(
            after(
                *("capitolo", "cap.", "volume", "vol.", "tomo", "atto", "parte", "articolo", "art.", "libro"),
                *("scena", "titolo", "allegato", "tipo", "Rocky", "Super Bowl"),
            ),
            as_cardinal,
        ),
    ),
    spelled=(
        ABROAD,
        CARD,
        re.compile(r"(?<![\w.,-])0[0-9]{1,3}[ /.-][0-9]{3,4}(?:[ .-]?[0-9]{2,4})?(?![\w-]|[.,][0-9])"),
        re.compile(r"(?<![\w.,-])3[0-9]{2}[ .-]?[0-9]{3}[ .-]?[0-9]{4}(?![\w-]|[.,][0-9])"),
        re.compile(r"(?<![\w.,-])800[ .-]?[0-9]{3}[ .-]?[0-9]{3}(?![\w-]|[.,][0-9])"),
        behind("tel", "telefono", "cell", "cellulare", "chiami il", "chiama il", "fax", "whatsapp"),
    ),
    own=(
        before_names(
            "S",
            {
                "San": "Pietro Giovanni Paolo Francesco Marco Lorenzo Giuseppe Giorgio Siro Carlo Martino "
                "Remo Michele Nicola Domenico Gennaro Donato Luca Matteo Vincenzo Marino Sebastiano",
                "Santo": "Stefano Spirito Sepolcro",
                "Santa": "Maria Chiara Lucia Caterina Croce Rita Teresa Margherita Monica Cecilia",
                "Sant'": "Antonio Ambrogio Agata Angelo Anna Agostino Elena Andrea",
            },
        ),
        before_names("SS", {"Santi": "Pietro Giovanni Cosma Filippo"}),
        weekdays(_WEEKDAYS, "a", _MONTH_NAMES, "al?"),
        _times,
        _ordinals,
        _ones,
    ),
)

_HALF: dict[Form, str] = {"feminine": "mezza", "masculine": "mezzo", "alone": "un mezzo"}


@cache
def _italian() -> Language:
    return Language(
        marks={",": "virgola", ".": "punto"},
        minus="meno",
        plus="più",
        to="a",
        of="di",
        of_a="di",
        cents="e",
        names_cents=False,
        metres="e",
        elided=partial(re.sub, r"\b(un|mezz)a (?=[aeiou])", r"\1'"),
        domains="|it",
        cardinal=cardinal,
        ordinal=ordinal,
        year=cardinal,
        date=day_month_year("primo", cardinal, MONTHS),
        clock=_clock,
        until=lambda time: "alle",
        fraction=_fraction,
        mixed=_mixed,
        form=_form,
        tables=TABLES,
        patterns=PATTERNS,
    )


def italian(region: str) -> Language:
    del region
    return _italian()


def _clock(time: Time) -> str:
    hour = "una" if time.hour == 1 else cardinal(time.hour)
    evening = " di sera" if 6 <= time.hour < 12 else " del pomeriggio"
    part = {"a": " del mattino", "p": evening}.get(time.half, "")
    hours = "un'ora" if time.hour == 1 else f"{hour} ore"
    if time.second is not None:
        return f"{hours}, {cardinal(time.minute)} minuti e {cardinal(time.second)} secondi{part}"
    if time.minute:
        return f"{hour} e {cardinal(time.minute)}{part}"
    return hours if time.has_hours else f"{hour}{part}"


def _fraction(over: int, under: int, form: Form) -> str | None:
    if (over, under) == (1, 2):
        return _HALF[form]
    name = "mezzo" if under == 2 else ordinal(under)
    return f"{cardinal(over, 'masculine')} {name if over == 1 else name[:-1] + 'i'}"


def _mixed(number: str, fraction: str, noun: str) -> str:
    fraction = "mezzo" if fraction == "un mezzo" else fraction
    return f"{number} {noun} e {fraction}" if noun else f"{number} e {fraction}"
