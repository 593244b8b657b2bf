"""English of America and of other countries."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

from plugins.latin.amounts import INNER_STOP, LEFT, SPACE, one_of
from plugins.latin.english.tables import TABLES
from plugins.latin.language import Form, Language, Patterns, Roman, Tables, Time, in_order
from plugins.latin.rules.ordinals import after, as_cardinal, as_ordinal, before
from plugins.latin.rules.spelled import ABROAD, CARD
from plugins.latin.rules.spelled import after as behind
from speech_engine.text import english_numbers as numbers
from speech_engine.text.draft import Draft
from speech_engine.text.english_numbers import american, plural, year

MONTHS = in_order("January February March April May June July August September October November December")
_SHORT = in_order("Jan Feb Mar Apr - Jun Jul Aug Sep Oct Nov Dec")
_MONTH_NAMES = {name.lower(): number for names in (MONTHS, _SHORT) for number, name in enumerate(names, 1)}
_MONTH = rf"(?P<month>{'|'.join(MONTHS)}|(?:Sept|{'|'.join(_SHORT)})\b)(?:{INNER_STOP})?"
# If a number counts something, it is no day: in March 5 miles away.
_COUNTED = one_of(
    {unit.many.split()[0] for unit in TABLES.units.values()}
    | {currency.many.split()[-1] for currency in TABLES.currencies.values()}
    | {written for written in (*TABLES.units, *TABLES.larges) if len(written) > 1}
    | {"people", "men", "women", "children", "times", "days", "weeks", "months", "years"}
)
_DAY = rf"(?P<day>[0-9]{{1,2}})(?:st|nd|rd|th|(?!{SPACE}(?:{_COUNTED})(?!\w)))"
_YEAR = r"(?:,? (?P<year>[0-9]{4}))?(?![\w/:]|[.,-][0-9])"
_YEAR_CUE = (
    r"(?:\b(?:in|since|by|until|till|from|of|before|after|during|circa|around|early|late|mid|year|years|"
    rf"spring|summer|autumn|fall|winter|the|class|born|died|founded|established|published|{'|'.join(MONTHS)})"
    r"|\b(?:from|between) [0-9]{4} (?:to|and)|©) $"
)

_DECADES = re.compile(
    rf"{LEFT}['’]?(?:(?P<hundreds>1[0-9]|20)00|(?P<century>[0-9]{{2}})?(?P<decade>[2-9]0))['’]?s(?!\w)"
)
_JOINED = re.compile(rf"{LEFT}([0-9]{{1,3}})-(to|in|for|by|of|on)-([0-9]{{1,3}})(?![\w-]|[.,][0-9])")
# Words that begin a sentence, and are not the name of a saint.
_BEGINNING = r"(?:The|He|She|It|They|We|I|You|Then|But|And|This|That)\b"
_STREET = re.compile(rf"(?<=\w )(?P<kind>St|Dr)(?:(?=\.(?:\s*\Z|\s+{_BEGINNING}))|\.(?=[,;)]|\s+[a-z]))")
_BEFORE_STREET = re.compile(r"\b[A-Z][\w'’]+ $")


def _decades(draft: Draft) -> None:
    def spoken(match: re.Match[str]) -> str:
        if match["hundreds"]:
            first = int(match["hundreds"]) * 100
            return plural(year(first, american(first)))
        century = f"{american(int(match['century']))} " if match["century"] else ""
        return century + plural(american(int(match["decade"])))

    draft.rewrite(_DECADES, spoken)


def _joined(draft: Draft) -> None:
    draft.rewrite(_JOINED, lambda match: f"{american(int(match[1]))}-{match[2]}-{american(int(match[3]))}")


def _street(draft: Draft) -> None:
    """Tell a street from a saint by the text before and behind: `Main St.` and `St. Mary`."""

    def spoken(match: re.Match[str]) -> str | None:
        is_named = _BEFORE_STREET.search(match.string, max(0, match.start() - 32), match.start())
        return {"St": "Street", "Dr": "Drive"}[match["kind"]] if is_named else None

    draft.rewrite(_STREET, spoken)


# In `the Part I like`, the I is no numeral.
_I = r"(?!(?<= I) (?!and [IVXLC]{2})[a-z])"
_NAMED = after("Chapter", "Volume", "Part", "Act", "Book", "Section", "Article", "vol.", "ch.", but_not=_I)

PATTERNS = Patterns(
    month_names=_MONTH_NAMES | {"sept": 9},
    dates=(
        re.compile(rf"{LEFT}{_DAY}(?: of)? {_MONTH}{_YEAR}"),
        re.compile(rf"\b{_MONTH} {_DAY}{_YEAR}"),
    ),
    date_cue=re.compile(r"\b(?:on|until|since|due) $", re.IGNORECASE),
    year_cue=re.compile(_YEAR_CUE, re.IGNORECASE),
    hour_mark="",
    ordinals={"st": "alone", "nd": "alone", "rd": "alone", "th": "alone"},
    singular_after=("a", "an"),
    romans=(
        Roman(before(r"[Cc]entur(?:y|ies)\b"), as_ordinal),
        Roman(after("World War"), lambda language, number: as_cardinal(language, number).capitalize()),
        Roman(_NAMED, as_cardinal),
    ),
    spelled=(
        ABROAD,
        CARD,
        re.compile(r"(?<![\w.,-])(?:1[ -])?\([0-9]{3}\) ?[0-9]{3}[ .-][0-9]{4}(?![\w-])"),
        re.compile(r"(?<![\w.,-])(?:1-)?[0-9]{3}([.-])[0-9]{3}\1[0-9]{4}(?![\w-])"),
        re.compile(r"(?<![\w.,-])[0-9]{3}-[0-9]{2}-[0-9]{4}(?![\w-])"),
        # A telephone number within a town. If both numbers are round, or count something, they are
        # a range instead.
        re.compile(
            r"(?<![\w.,-])(?<!pages )(?<!pp\. )(?![0-9]{2}0-[0-9]{3}0)[2-9][0-9]{2}-[0-9]{4}"
            rf"(?![\w-]|[.,][0-9]|{SPACE}?[%°$€£]|{SPACE}?(?:{_COUNTED})(?!\w)| [a-z]+s\b)"
        ),
        # A postcode, behind its state.
        re.compile(r"(?<=\b[A-Z]{2} )[0-9]{5}(?:-[0-9]{4})?(?![\w-])"),
        behind("call", "tel", "phone", "telephone", "fax", "mobile", "whatsapp"),
    ),
    own=(_decades, _joined, _street),
)


_AMERICAN = frozenset(("", "US", "PH", "PR"))
_UNDER = {2: "half", 4: "quarter"}
_MOST_UNDER = 100


def english(region: str) -> Language:
    return _english(region in _AMERICAN, region == "NG")


@cache
def _english(is_american: bool, is_nigerian: bool) -> Language:
    def cardinal(number: int, form: Form = "alone") -> str:
        del form
        return numbers.american(number) if is_american else numbers.british(number)

    def ordinal(number: int, form: Form = "alone") -> str:
        del form
        return numbers.ordinal_of(cardinal(number))

    def date(day: int, month: int, year: str, day_first: bool) -> str:
        if day_first:
            return f"the {ordinal(day)} of {MONTHS[month - 1]} {year}".rstrip()
        return f"{MONTHS[month - 1]} {ordinal(day)}" + (f", {year}" if year else "")

    def fraction(over: int, under: int, form: Form) -> str | None:
        del form
        if under > _MOST_UNDER:
            return None
        name = _UNDER.get(under) or ordinal(under)
        return f"{cardinal(over)} {name}{'s' if over > 1 else ''}"

    return Language(
        point=".",
        thousands=r",\u00a0\u202f",
        marks={".": "point", ",": "point"},
        minus="minus",
        plus="plus",
        to="to",
        of="",
        of_a="of a",
        cents="and",
        spells_decimals=True,
        cardinal=cardinal,
        ordinal=ordinal,
        year=lambda year: numbers.year(year, cardinal(year)),
        date=date,
        clock=_clock,
        until=lambda _: "to",
        fraction=fraction,
        mixed=_mixed,
        is_one=lambda whole, has_decimals: whole == 1 and not has_decimals,
        form=lambda number, before, after: "alone",
        day_first=not is_american,
        tables=_nigerian() if is_nigerian else TABLES,
        patterns=PATTERNS,
    )


def _nigerian() -> Tables:
    """Return the tables of Nigeria. A plain N is the sign of the naira, but `N95` is a mask."""
    currencies = {**TABLES.currencies, "N": TABLES.currencies["NGN"]}
    return replace(TABLES, currencies=currencies, words={**TABLES.words, "N95": "N ninety-five"})


def _clock(time: Time) -> str:
    hour, half = numbers.american(time.hour), f" {time.half.upper()}M" if time.half else ""
    if time.second is not None:
        seconds = numbers.american(time.second)
        return f"{hour} {numbers.american(time.minute)} and {seconds} seconds{half}"
    if time.minute:
        return f"{hour} {'oh ' if time.minute < 10 else ''}{numbers.american(time.minute)}{half}"
    if half:
        return f"{hour}{half}"
    return f"{hour} o'clock" if 1 <= time.hour <= 12 else f"{hour} hundred"


def _mixed(number: str, fraction: str, noun: str) -> str:
    fraction = f"a {fraction.removeprefix('one ')}" if fraction.startswith("one ") else fraction
    return f"{number} and {fraction} {noun}".rstrip()
