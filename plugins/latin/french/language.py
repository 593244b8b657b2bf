"""French, with the numbers of Belgium and Switzerland."""

from __future__ import annotations

import re
from functools import cache, partial

from plugins.latin.amounts import INNER_STOP, LEFT, one_of
from plugins.latin.french.numbers import cardinal as french_cardinal
from plugins.latin.french.numbers import ordinal_of
from plugins.latin.french.tables import BEFORE_NAMES, NOUNS, TABLES
from plugins.latin.language import Form, Language, Patterns, Roman, Time, agreement, day_month_year, in_order
from plugins.latin.rules.dates import weekdays
from plugins.latin.rules.ordinals import after, as_cardinal, as_feminine_ordinal, before, rulers, value
from plugins.latin.rules.spelled import ABROAD, CARD
from plugins.latin.rules.spelled import after as behind
from speech_engine.text.draft import Draft

MONTHS = in_order("janvier février mars avril mai juin juillet août septembre octobre novembre décembre")
_SHORT = in_order("janv févr mars avr mai juin juil août sept oct nov déc")
_MONTH_NAMES = {name: number for names in (MONTHS, _SHORT) for number, name in enumerate(names, 1)}
_MONTH_NAMES |= {"mar": 3, "fév": 2}
_DATE = re.compile(
    rf"{LEFT}(?P<day>[0-9]{{1,2}})(?:er)? (?P<month>(?i:{one_of(_MONTH_NAMES)}))(?!\w)(?:{INNER_STOP})?"
    r"(?:,? (?P<year>[0-9]{4})(?![\w/:]|[.,-][0-9]))?"
)
_WEEKDAYS = {day[:3]: day for day in in_order("lundi mardi mercredi jeudi vendredi samedi dimanche")}

# Centuries, storeys of history: XXIe, Ier, IIe.
_CENTURY = re.compile(rf"(?<=[IVX]e )s(?:{INNER_STOP}|(?=\.))")
_ROMAN_ORDINAL = re.compile(
    r"(?<![\w.])(?P<roman>(?=[IVX])X{0,3}(?:IX|IV|V?I{0,3}))(?P<ending>er|re|ère|e|ème|ᵉ)s?(?!\w)"
)
# An M. that ends a sentence is no title: taille M. Il part.
_MISTER = re.compile(
    r"(?<![\w.])(?<!aille )(?<!ettre )(?<!lan )(?<![0-9] )M\.(?= (?:(?:et|le|la) |l['’]|"
    r"(?!(?:Il|Ils|Elle|On|Et|Mais|Puis|Ensuite|Je|Tu|Nous|Vous|Ce|Cela|Les)\b)[A-ZÀ-Þ]))"
)
_TITLE = re.compile(
    rf"(?<![\w.])(?P<title>{one_of(BEFORE_NAMES)})(?!\w)\.?"
    r"(?=[ \u00a0-](?!Il\b|J\.)[A-ZÀ-Þ]|(?:(?<=M\.)|(?<=me)|(?<=es)|(?<=le))(?: et| les?| la) )"
)
_LADY = re.compile(r"(?<![\w.])(?:Mmes?|Mlles?|Melle)(?!\w)")


def _roman_ordinals(draft: Draft) -> None:
    def spoken(match: re.Match[str]) -> str | None:
        number, is_first = value(match["roman"]), match["ending"] in ("er", "re", "ère")
        if is_first != (number == 1):
            return None
        return ordinal_of(french_cardinal(number), "masculine" if match["ending"] == "er" else "feminine")

    draft.rewrite(_CENTURY, lambda match: "siècle")
    draft.rewrite(_ROMAN_ORDINAL, spoken)


def _titles(draft: Draft) -> None:
    draft.rewrite(_MISTER, lambda match: "monsieur")
    draft.rewrite(_TITLE, lambda match: BEFORE_NAMES[match["title"]])
    draft.rewrite(_LADY, lambda match: BEFORE_NAMES[match[0]])


def _of_a_ruler(language: Language, number: int, form: Form = "masculine") -> str:
    return language.ordinal(1, form) if number == 1 else language.cardinal(number, "alone")


PATTERNS = Patterns(
    month_names=_MONTH_NAMES,
    dates=(_DATE,),
    date_cue=re.compile(r"\b(?:le|du|au|dès le|avant le) $", re.IGNORECASE),
    # In 8 h 05, a blank stands before the minutes.
    hour_mark=r"[hH](?: (?=[0-5][0-9](?!\w|[.,:][0-9])))?",
    ordinals={
        **dict.fromkeys(("er", "ers", "ᵉʳ"), "masculine"),
        **dict.fromkeys(("re", "ère", "res", "ères"), "feminine"),
        **dict.fromkeys(("e", "è", "ème", "eme", "ième", "es", "èmes", "ᵉ"), "alone"),
    },
    romans=(
        Roman(before("[Gg]uerre mondiale"), as_feminine_ordinal),
        Roman(rulers("Élisabeth Elisabeth Elizabeth Catherine Marie"), partial(_of_a_ruler, form="feminine")),
        Roman(
            rulers(
                "Louis Charles Henri François Philippe Napoléon Jean Paul Pie Benoît Léon Grégoire "
                "Innocent Clément Urbain Jules Boniface Sixte Georges? Édouard Edouard Jacques Guillaume "
                "Richard Pierre Alexandre Nicolas Alphonse Ferdinand Frédéric Albert Léopold Emmanuel "
                "Robert Ramsès Ptolémée Guillaume Hassan Mohammed Juan Carlos Felipe Othon Darius Soliman "
                "Vatican"
            ),
            _of_a_ruler,
        ),
        Roman(
            after(
                *in_order("chapitre chap. tome t. acte scène partie article art. volume vol. livre annexe"),
                *("titre", "type", "phase", "Rocky", "Super Bowl"),
                # In `article L. 121`, the letter is no numeral.
                but_not=r"(?!\. ?[0-9])",
            ),
            as_cardinal,
        ),
    ),
    spelled=(
        ABROAD,
        CARD,
        re.compile(r"(?<![\w.,-])0[1-9](?:([ .-]?)[0-9]{2})(?:\1[0-9]{2}){3}(?![\w-]|[.,][0-9])"),
        re.compile(r"(?<![\w.,-])0[0-9]{4}(?![\w-]|[.,][0-9])"),
        behind("tél", "téléphone", "portable", "mobile", "fax", "appelez le", "whatsapp"),
    ),
    own=(_roman_ordinals, _titles, weekdays(_WEEKDAYS, "à", _MONTH_NAMES, "à|au")),
)

_HALF: dict[Form, str] = {"feminine": "une demi", "masculine": "un demi", "alone": "un demi"}
_UNDER = {3: "tiers", 4: "quart"}


@cache
def _french(has_septante: bool) -> Language:
    cardinal = partial(french_cardinal, has_septante=has_septante)

    def fraction(over: int, under: int, form: Form) -> str | None:
        if (over, under) == (1, 2):
            return _HALF[form]
        name = _UNDER.get(under) or ordinal_of(cardinal(under), "alone")
        return f"{cardinal(over)} {name}{'s' if over > 1 and under != 3 else ''}"

    return Language(
        marks={",": "virgule", ".": "point"},
        minus="moins",
        plus="plus",
        to="à",
        of="de",
        of_a="de",
        cents="",
        names_cents=False,
        metres="",
        has_pairs=True,
        elided=partial(re.sub, r"\bde (?=[aeéiouh])", "d'"),
        cardinal=cardinal,
        ordinal=lambda number, form: ordinal_of(cardinal(number), form),
        year=cardinal,
        date=day_month_year("premier", cardinal, MONTHS),
        clock=_clock,
        until=lambda time: "à",
        fraction=fraction,
        mixed=_mixed,
        is_one=lambda whole, has_decimals: whole < 2,
        form=agreement(NOUNS),
        tables=TABLES,
        patterns=PATTERNS,
    )


def french(region: str) -> Language:
    return _french(region in ("BE", "CH"))


def _clock(time: Time) -> str:
    def counted(number: int, noun: str) -> str:
        return f"{french_cardinal(number, 'feminine')} {noun}{'s' if number > 1 else ''}"

    evening = " du soir" if 6 <= time.hour < 12 else " de l'après-midi"
    part = {"a": " du matin", "p": evening}.get(time.half, "")
    hours = counted(time.hour, "heure")
    if time.second is not None:
        return f"{hours}, {counted(time.minute, 'minute')} et {counted(time.second, 'seconde')}{part}"
    return f"{hours}{' ' + french_cardinal(time.minute, 'feminine') if time.minute else ''}{part}"


def _mixed(number: str, fraction: str, noun: str) -> str:
    half = {"une demi": "et demie", "un demi": "et demi"}.get(fraction, fraction)
    return f"{number} {noun} {half}" if noun else f"{number} {half}"
