"""The front-end for English, Spanish, French, Italian and Portuguese. It puts numbers, dates, money,
addresses and abbreviations in words."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache

from plugins.latin.english.language import english
from plugins.latin.french.language import french
from plugins.latin.italian.language import italian
from plugins.latin.language import Language, Rule
from plugins.latin.portuguese.language import portuguese
from plugins.latin.rules import (
    abbreviations,
    addresses,
    counts,
    dates,
    fractions,
    measures,
    money,
    ordinals,
    signs,
    spelled,
    times,
)
from plugins.latin.spanish.language import spanish
from speech_engine.plugin import Context, NoSettings
from speech_engine.text.dialogue import dialogue_ends, may_be_dialogue
from speech_engine.text.draft import MASK, Draft, keep_addresses
from speech_engine.text.sentences import sentence_ends
from speech_engine.values import Segment

_LANGUAGES = {"en": english, "es": spanish, "fr": french, "it": italian, "pt": portuguese}

# The surest rules come first, because no rule changes a decision of an earlier rule. Plain numbers
# come last, after the abbreviations that stand before them in a text.
_IN_FIGURES = (spelled.rule, dates.rule, times.rule, money.rule, fractions.rule, measures.rule)
_IN_LETTERS = (ordinals.rule, abbreviations.rule)

_FIGURE = re.compile("[0-9½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]")
_DECIDED = re.compile(f"{MASK}+")
_INITIAL = re.compile(r"\b([A-ZÀ-ÖØ-Þ])\.(?= [A-ZÀ-ÖØ-Þ])")
_BEFORE_A_NAME = re.compile(
    r"(?:^|[^\w\s]\s+|\b[A-ZÀ-ÖØ-Þ][\w'’]*\s|\bq+\s"
    r"|\b(?:a|al|and|avec|by|com|con|da|de|del|di|do|du|e|el|et|il|la|le|o|of|par|the|with|y)\s)\Z"
)
# The full stops of letters end no sentence, but the last may, before a capital letter: U.S., O.N.U.
_ACRONYM = re.compile(
    r"(?<![\w.])(?:(?:[A-ZÀ-Þ]\.){2,}(?=[,;:)]| [a-z0-9à-ÿ])|(?:[A-ZÀ-Þ]\.){2,}(?=[A-ZÀ-Þ]\.))"
)
_NAME_REACHES = 24
_LETTER_OR_STOP = re.compile(r"[^\W\d_]|[.!?]")


class LatinFrontEnd:
    languages = tuple(_LANGUAGES)
    revision = "6"

    def warm(self) -> None:
        """Compile the rules of each language for a tag without a region."""
        for language in _LANGUAGES.values():
            _rules(language(""))

    def prepare(self, text: str, language: str, lexicon: Mapping[str, str]) -> tuple[Segment, ...]:
        draft = Draft(text)
        spoken = _language(language)
        (addresses.rule(spoken) if spoken else keep_addresses)(draft)
        draft.apply(lexicon)
        if spoken:
            for rule in _rules(spoken):
                rule(draft)
        ends = dialogue_ends if may_be_dialogue(draft.text) else sentence_ends
        return draft.segments(ends(_sentences_of(draft), language))


def _language(tag: str) -> Language | None:
    base, *rest = re.split("[-_]", tag)
    language = _LANGUAGES.get(base.lower())
    region = next((part.upper() for part in rest if len(part) == 2), "")
    return language and language(region)


@cache
def _rules(language: Language) -> tuple[Rule, ...]:
    in_figures = tuple(rule(language) for rule in _IN_FIGURES)
    in_letters = tuple(rule(language) for rule in _IN_LETTERS)
    last = counts.rule(language)

    def figures(draft: Draft) -> None:
        if _FIGURE.search(draft.text):
            for rule in in_figures:
                rule(draft)

    def counted(draft: Draft) -> None:
        if _FIGURE.search(draft.open):
            last(draft)

    return (
        lambda draft: draft.apply(language.tables.words),
        *language.patterns.own,
        signs.rule(language),
        figures,
        *in_letters,
        counted,
    )


def _sentences_of(draft: Draft) -> str:
    """Return a text of the same length, in which each decided place is a plain word.

    A full stop inside an abbreviation then ends no sentence, and a full stop behind an abbreviation
    can end one. The initial of a name ends no sentence either: D. Pedro.
    """

    def as_word(decided: re.Match[str]) -> str:
        return _LETTER_OR_STOP.sub("q", draft.text[decided.start() : decided.end()])

    def unstopped(initial: re.Match[str]) -> str:
        before = initial.string[max(0, initial.start() - _NAME_REACHES) : initial.start()]
        return f"{initial[1]}q" if _BEFORE_A_NAME.search(before) else initial[0]

    words = _DECIDED.sub(as_word, draft.open)
    words = _ACRONYM.sub(lambda letters: letters[0].replace(".", "q"), words)
    return _INITIAL.sub(unstopped, abbreviations.LETTERED.sub(lambda cue: f"{cue[0][:-1]}q", words))


@asynccontextmanager
async def create(_name: str, _settings: NoSettings, _context: Context) -> AsyncIterator[LatinFrontEnd]:
    yield LatinFrontEnd()
