"""A rule of reading, and the parts that all rules share.

These parts decide where a rule applies and which blanks it closes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from plugins.pythainlp.turn import Turn
from speech_engine.text.draft import Draft

THAI = "\u0e01-\u0e2e\u0e30-\u0e3a\u0e40-\u0e45\u0e47-\u0e4e"
"""The characters of words, for a character class. It has no ฯ, ๆ, ฿, digits and section marks."""

WORDLIKE = rf"\w{THAI}"
r"""`\w` and the vowels and tones above and below, which `\w` lacks."""

_SIGNS = "-+\u2212"
_BLANKS = re.compile(r"[^\S\r\n]+")
_THAI_CHARACTER = re.compile(f"[{THAI}ฯๆ]")


class Rule(NamedTuple):
    pattern: re.Pattern[str]
    spoken: Callable[[re.Match[str]], str | None]
    # Thai puts blanks around digits, Latin letters and abbreviations. They are no pauses.
    closes_before: bool = True
    closes_after: bool = False
    at_a_word: bool = False
    """Apply the rule only where a word begins: Thai writes `ในจ.ตรัง`, and `กลม.` is no `ม.`"""


class Blanks:
    """A record of the places that were read. At the end it closes the blanks around them."""

    def __init__(
        self, draft: Draft, words: Collection[int], rested: Callable[[str], str], turn: Turn
    ) -> None:
        """Begin a record. `rested` puts blanks into a reading that is too long for one breath."""
        self._draft = draft
        self._turn = turn
        self._words = words
        self._rested = rested
        self._starts: set[int] = set()
        self._ends: set[int] = set()
        self._apart: set[int] = set()

    def apply(self, rules: Iterable[Rule]) -> None:
        for rule in rules:
            self._turn.give_way()
            self._apply(rule)

    def _apply(self, rule: Rule) -> None:
        def spoken(match: re.Match[str]) -> str | None:
            self._turn.give_way()
            if rule.at_a_word and match.start() not in self._words:
                return None
            reading = rule.spoken(match)
            if reading is not None:
                reading = self._rested(reading)
                (self._starts if rule.closes_before else self._apart).add(match.start())
                if rule.closes_after:
                    self._ends.add(match.end())
            return reading

        self._draft.rewrite(rule.pattern, spoken)

    def close(self) -> None:
        self._draft.rewrite(_BLANKS, lambda match: "" if self._is_closed(*match.span()) else None)

    def _is_closed(self, start: int, end: int) -> bool:
        self._turn.give_way()
        text = self._draft.text
        if start == 0 or end == len(text):
            return False
        before, after = text[start - 1], text[end]
        if before.isdecimal() and (after.isdecimal() or after in _SIGNS or end in self._apart):
            return False  # two numbers next to each other would become a third
        sticks = start in self._ends, end in self._starts
        accepts = bool(_THAI_CHARACTER.match(before)), bool(_THAI_CHARACTER.match(after))
        return any(sticks) and (sticks[0] or accepts[0]) and (sticks[1] or accepts[1])


def follows(match: re.Match[str], *words: str) -> bool:
    """Return whether one of these words stands right before the match. Blanks are ignored."""
    return match.string[max(0, match.start() - 30) : match.start()].rstrip().endswith(words)


def one_of(written: Iterable[str]) -> str:
    """Return a pattern for any of these words, the longest first."""
    return "|".join(re.escape(word) for word in sorted(written, key=len, reverse=True))
