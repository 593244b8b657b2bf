"""Telephone numbers and other numbers that are names. They are read digit by digit, with a rest
between groups."""

from __future__ import annotations

import re

from plugins.latin.amounts import spelled
from plugins.latin.language import Language, Rule
from speech_engine.text.draft import Draft

# Fewer digits are no telephone number: +10 people, 10-20 calls.
ABROAD = re.compile(
    r"(?<![\w+])\+(?=(?:[ ()-]{0,2}[0-9]){8})[0-9]{1,3}(?:[ -]?\(?[0-9]{1,5}\)?){1,5}(?![\w-]|[.,][0-9])"
)
CARD = re.compile(r"(?<![\w.,-])[0-9]{4}(?:[ -][0-9]{4}){3}(?![\w-])")
# The first line has the numbers of the police and the like. Behind a word for telephone, they can
# be nothing else.
_GROUPS = (
    r"911\b|999\b|112\b|19[0-3]\b"
    r"|(?=(?:[ ().-]{0,2}[0-9]){7})\(?[0-9]{2,5}\)?(?:[ .-][0-9]{2,5}){1,4}|[0-9]{7,13}"
)


def after(*words: str) -> re.Pattern[str]:
    return re.compile(rf"(?i:\b(?:{'|'.join(words)}))[.:]{{0,2}} (?P<number>{_GROUPS})(?![\w-])")


def rule(language: Language) -> Rule:
    def decide(draft: Draft) -> None:
        for pattern in language.patterns.spelled:
            group = "number" if "number" in pattern.groupindex else 0
            for match in pattern.finditer(draft.open):
                plus = f"{language.plus} " if match[group].startswith("+") else ""
                draft.decide(*match.span(group), plus + spelled(match[group], language))

    return decide
