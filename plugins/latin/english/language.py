"""English, with the differences between America, Nigeria and other countries."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

from plugins.latin.amounts import INNER_STOP, LEFT, SPACE, one_of
from plugins.latin.english.tables import TABLES
from plugins.latin.language import Form, Language, Patterns, Roman, Tables, Time, in_order
from plugins.latin.rules.dates import weekdays
from plugins.latin.rules.ordinals import ROMAN, after, as_cardinal, as_ordinal, before, rulers
from plugins.latin.rules.spelled import ABROAD, CARD
from plugins.latin.rules.spelled import after as digits_after
from speech_engine.text import english_numbers as numbers
from speech_engine.text.draft import Draft
from speech_engine.text.english_numbers import american, plural, year

MONTHS = in_order("January February March April May June July August September October November December")
_SHORT = in_order("Jan Feb Mar Apr - Jun Jul Aug Sep Oct Nov Dec")
_MONTH_NAMES = {name.lower(): number for names in (MONTHS, _SHORT) for number, name in enumerate(names, 1)}
_WEEKDAYS = {
    short: f"{name}day"
    for shorts, name in {
        "Mon": "Mon",
        "Tue Tues": "Tues",
        "Wed": "Wednes",
        "Thu Thur Thurs": "Thurs",
        "Fri": "Fri",
        "Sat": "Satur",
        "Sun": "Sun",
    }.items()
    for short in shorts.split()
}
_MONTH = rf"(?P<month>{'|'.join(MONTHS)}|(?:Sept|{'|'.join(_SHORT)})\b)(?:{INNER_STOP})?"
# A number before one of these words is a quantity and no day: `in March 5 miles away`.
_COUNTED_WORDS = one_of(
    {unit.many.split()[0] for unit in TABLES.units.values()}
    | {currency.many.split()[-1] for currency in TABLES.currencies.values()}
    | {written for written in (*TABLES.units, *TABLES.larges) if len(written) > 1}
    | {"people", "men", "women", "children", "times", "days", "weeks", "months", "years"}
)
_DAY = rf"(?P<day>[0-9]{{1,2}})(?:st|nd|rd|th|(?!{SPACE}(?:{_COUNTED_WORDS})(?!\w)))"
_YEAR = r"(?:,? (?P<year>[0-9]{4}))?(?![\w/:]|[.,-][0-9])"
_YEAR_CUE = (
    r"(?:\b(?:in|since|between|by|until|till|from|of|before|after|during|circa|around|early|late|mid|year|years|"
    rf"spring|summer|autumn|fall|winter|the|class|born|died|founded|established|published|{'|'.join(MONTHS)})"
    r"|\b(?:from|between) [0-9]{4} (?:to|and)|©) $"
)

_DECADE = re.compile(
    rf"(?:{LEFT}|(?<=\bmid-)|(?<=\blate-))['’]?(?:(?P<hundreds>1[0-9]|20)00|(?P<century>[0-9]{{2}})?(?P<decade>[2-9]0))['’]?s(?!\w)"
)
# For example `3-to-5` and `2-for-1`.
_HYPHENATED = re.compile(rf"{LEFT}([0-9]{{1,3}})-(to|in|for|by|of|on)-([0-9]{{1,3}})(?![\w-]|[.,][0-9])")
# If one of these words follows, a sentence begins. Otherwise `St.` could precede the name of a saint.
_BEGINNING = r"(?:The|He|She|It|They|We|I|You|Then|But|And|This|That)\b"
_STREET = re.compile(rf"(?<=\w )(?P<kind>St|Dr)(?:(?=\.(?:\s*\Z|\s+{_BEGINNING}))|\.(?=[,;)]|\s+[a-z]))")
_BEFORE_STREET = re.compile(r"\b(?:[A-Z][\w'’]+|[0-9]+(?:st|nd|rd|th)) $")

_WIDE = "(?:wide|tall|long|high|deep|thick|by|x|and|or|of|is|was|in|on|at|to|for)"
# A number before one of these verbs begins a sentence as a year: `2024 was good`.
_FIRST_YEAR = re.compile(
    r"(?:\A|(?<=[.!?] )|(?<=\n)|(?<=[\"“]))(?:1[0-9]|20)[0-9]{2}"
    r"(?=: | (?:was|is|will|has|had|saw|changed|brought|began|started|ended|marked|became)\b)"
)
_ESTABLISHED = re.compile(r"\b[Ee]st\.? (?P<year>[12][0-9]{3})(?!\w)")
_QUARTER = re.compile(r"\bQ(?P<quarter>[1-4])(?P<year> (?:1[0-9]|20)[0-9]{2})?(?!\w)")
_KIND = "Ave|St|Rd|Blvd|Dr|Ln|Ct|Pl|Avenue|Street|Road|Boulevard|Drive|Lane|Court|Place|Way|Square|Parkway"
_STREET_NUMBER = re.compile(
    rf"{LEFT}[1-9][0-9]{{3}}(?= (?:[NSEW]\.? )?(?:[A-Z0-9][\w'’]+ ){{1,3}}(?:{_KIND})\b)"
)
_JET = re.compile(r"(?<=\bBoeing )(?P<jet>7[0-9]7)(?:-(?P<series>[0-9]{3}))?(?=s?(?!\w))")
_SCREEN = re.compile(rf"{LEFT}([0-9]{{3,4}}) ?[x×] ?([0-9]{{3,4}})(?!\w|[.,][0-9]| ?=)")
_HEIGHT = re.compile(rf"{LEFT}(?P<feet>[1-9])['’′] ?(?P<inches>[0-9]{{1,2}})(?:[\"”″]|’’|'')")
_INCHES = re.compile(
    rf"{LEFT}(?P<number>[0-9]{{1,3}}(?:\.[0-9]+)?)[\"″](?=(?P<noun> (?!{_WIDE}\b)[A-Za-z]+)?)"
)
_CODE = re.compile(r"(?<![\w-])(?P<letters>[A-Z]{2,3})-(?P<digits>[0-9]{4,})(?![\w-])")


def _in_halves(number: int) -> str:
    """Return the words of a house, a plane or a screen: sixteen hundred, seven forty-seven."""
    first, rest = divmod(number, 100)
    if first % 10 == 0 and rest < 10:
        return american(number)
    last = f"{'oh ' if rest < 10 else ''}{american(rest)}" if rest else "hundred"
    return f"{american(first)} {last}"


def _year_of(text: str) -> str:
    return year(int(text), american(int(text)))


def _rewrite_names(draft: Draft) -> None:
    """Read years, houses, planes and screens, whose numbers are names in two halves."""
    draft.rewrite(_FIRST_YEAR, lambda match: _year_of(match[0]))
    draft.rewrite(_ESTABLISHED, lambda match: f"established {_year_of(match['year'])}")
    draft.rewrite(
        _QUARTER,
        lambda match: (
            f"Q {american(int(match['quarter']))} {_year_of(match['year']) if match['year'] else ''}"
        ),
    )
    draft.rewrite(_STREET_NUMBER, lambda match: _in_halves(int(match[0])))
    draft.rewrite(_JET, lambda match: " ".join(_in_halves(int(part)) for part in match.groups() if part))
    draft.rewrite(_SCREEN, lambda match: f"{_in_halves(int(match[1]))} by {_in_halves(int(match[2]))}")
    draft.rewrite(
        _CODE,
        lambda match: (
            f"{'.'.join(match['letters'])}, {' '.join(american(int(one)) for one in match['digits'])}"
        ),
    )


def _rewrite_inches(draft: Draft) -> None:
    def inches(match: re.Match[str]) -> str | None:
        if match.string.count('"', match.string.rfind("\n", 0, match.start()) + 1, match.start()) % 2:
            return None  # it ends what is quoted
        whole, _, decimals = match["number"].partition(".")
        point = f" point {' '.join(american(int(one)) for one in decimals)}" if decimals else ""
        return f"{american(int(whole))}{point} {'inch' if match['noun'] else 'inches'}"

    draft.rewrite(
        _HEIGHT, lambda match: f"{american(int(match['feet']))} foot {american(int(match['inches']))}"
    )
    draft.rewrite(_INCHES, inches)


def _rewrite_decades(draft: Draft) -> None:
    def replacement(match: re.Match[str]) -> str:
        if match["hundreds"]:
            first = int(match["hundreds"]) * 100
            return plural(year(first, american(first)))
        century = f"{american(int(match['century']))} " if match["century"] else ""
        return century + plural(american(int(match["decade"])))

    draft.rewrite(_DECADE, replacement)


def _rewrite_hyphenated(draft: Draft) -> None:
    draft.rewrite(
        _HYPHENATED, lambda match: f"{american(int(match[1]))}-{match[2]}-{american(int(match[3]))}"
    )


def _rewrite_streets(draft: Draft) -> None:
    """Read `St` and `Dr` as Street and Drive after a name, as in `Main St.`, but not in `St. Mary`."""

    def replacement(match: re.Match[str]) -> str | None:
        is_named = _BEFORE_STREET.search(match.string, max(0, match.start() - 32), match.start())
        return {"St": "Street", "Dr": "Drive"}[match["kind"]] if is_named else None

    draft.rewrite(_STREET, replacement)


def _rewrite_figures(draft: Draft) -> None:
    if any(map(str.isdecimal, draft.open)):
        for rewrite in (_rewrite_names, _rewrite_inches, _rewrite_decades, _rewrite_hyphenated):
            rewrite(draft)


# In `the Part I like`, the I is a pronoun and no numeral.
_NO_PRONOUN = r"(?!(?<= I)(?:['’]| (?!and [IVXLC]{2})[a-z]))"
_NUMBERED_PART = after(
    "Chapter",
    "Volume",
    "Part",
    "Act",
    "Book",
    "Section",
    "Article",
    "vol.",
    "ch.",
    "chapter",
    but_not=_NO_PRONOUN,
)

# In `Henry I think so`, the I is a pronoun.
_NO_SPEAKER = r"(?!(?<= I) (?!(?:of|was|died|ruled|reigned|and)\b)[a-z])"
_RULERS = rulers(
    "Henry Elizabeth Louis Charles George Edward Richard James William Philip Paul Peter Catherine Napoleon "
    "Nicholas Alexander Frederick "
    "Benedict Pius Gregory Leo Innocent Clement Urban Francis Ferdinand Isabella "
    "Mary Alfonso Ramesses Ptolemy Ivan Wilhelm Leopold Gustav Harald Margrethe Xerxes Darius Felipe",
    _NO_SPEAKER,
)


def _of_a_ruler(language: Language, number: int) -> str:
    return f"the {as_ordinal(language, number)}"


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
        Roman(_NUMBERED_PART, as_cardinal),
        Roman(after("Type", "Rocky", "Appendix", "Scene", "Super Bowl"), as_cardinal),
        Roman(re.compile(rf"(?<=\b[Ss]cene )(?=[iv]{{2}})(?i:{ROMAN})"), as_cardinal),
        Roman(_RULERS, _of_a_ruler),
    ),
    spelled=(
        ABROAD,
        CARD,
        re.compile(r"(?<![\w.,-])(?:1[ -])?\([0-9]{3}\) ?[0-9]{3}[ .-][0-9]{4}(?![\w-])"),
        re.compile(r"(?<![\w.,-])(?:1-)?[0-9]{3}([.-])[0-9]{3}\1[0-9]{4}(?![\w-])"),
        re.compile(r"(?<![\w.,-])[0-9]{3}-[0-9]{2}-[0-9]{4}(?![\w-])"),
        # A telephone number without an area code. If both parts are round numbers, or a counted word follows,
        # it is a range.
        re.compile(
            r"(?<![\w.,-])(?<!pages )(?<!pp\. )(?![0-9]{2}0-[0-9]{3}0)[2-9][0-9]{2}-[0-9]{4}"
            rf"(?![\w-]|[.,][0-9]|{SPACE}?[%°$€£]|{SPACE}?(?:{_COUNTED_WORDS})(?!\w)| [a-z]+s\b)"
        ),
        # Telephone numbers of Britain: a zero, and nine or ten digits.
        re.compile(
            r"(?<![\w.,-])\(?0[1-9](?=[ )0-9]{9,12}(?![ -]?[0-9]))[0-9]{1,3}\)?[0-9]? [0-9]{3,6}"
            r"(?: [0-9]{3,4})?(?![\w-]|[.,][0-9])"
        ),
        # A postcode after its state: `CA 94103`.
        re.compile(r"(?<=\b[A-Z]{2} )[0-9]{5}(?:-[0-9]{4})?(?![\w-])"),
        digits_after("call", "tel", "phone", "telephone", "fax", "mobile", "whatsapp"),
    ),
    own=(weekdays(_WEEKDAYS, "to", _MONTH_NAMES, "to"), _rewrite_figures, _rewrite_streets),
)


_AMERICAN = frozenset(("", "US", "PH", "PR"))
_DENOMINATORS = {2: "half", 4: "quarter"}
"""The other denominators are read as ordinals."""
_MOST_DENOMINATOR = 100


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

    def date(day: int, month: int, year: str, is_day_first: bool) -> str:
        if is_day_first:
            return f"the {ordinal(day)} of {MONTHS[month - 1]} {year}".rstrip()
        return f"{MONTHS[month - 1]} {ordinal(day)}" + (f", {year}" if year else "")

    def fraction(numerator: int, denominator: int, form: Form) -> str | None:
        del form
        if denominator > _MOST_DENOMINATOR:
            return None
        name = _DENOMINATORS.get(denominator) or ordinal(denominator)
        return f"{cardinal(numerator)} {name}{'s' if numerator > 1 else ''}"

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
        letter_mark=".",
        cardinal=cardinal,
        ordinal=ordinal,
        year=lambda year: numbers.year(year, cardinal(year)),
        date=date,
        clock=_clock,
        until=lambda _: "to",
        fraction=fraction,
        mixed=_mixed,
        form=lambda number, before, after: "alone",
        is_day_first=not is_american,
        tables=_nigerian() if is_nigerian else TABLES,
        patterns=PATTERNS,
    )


def _nigerian() -> Tables:
    """Return the tables of Nigeria. The letter N is the sign of the naira, but `N95` is a mask."""
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
    """Return the words of a mixed number: `two and a half miles`."""
    fraction = f"a {fraction.removeprefix('one ')}" if fraction.startswith("one ") else fraction
    return f"{number} and {fraction} {noun}".rstrip()
