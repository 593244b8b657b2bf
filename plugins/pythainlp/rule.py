"""A rule of reading, and the parts that all rules share.

These parts decide where a rule applies and which blanks it closes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable
from threading import Lock
from types import TracebackType
from typing import NamedTuple, Self

from speech_engine.text.draft import Draft

_SLICE_S = 0.001
_AWAY_S = 0.000_05
_SLICES_A_TURN = 10

_READING = Lock()


class Turn:
    """The right to compute, which only one reader has at a time.

    Of two threads, the interpreter lets the second in after 5 ms; of nine, the ninth after 40 ms. So only one
    reader waits for the interpreter at a time. It stays away for a moment each millisecond. After ten
    milliseconds it lets the next reader go on.
    """

    def __init__(self) -> None:
        self._ends = 0.0
        self._slices = 0

    def __enter__(self) -> Self:
        _READING.acquire()
        self._ends = time.perf_counter() + _SLICE_S
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _READING.release()

    def give_way(self) -> None:
        """Pause if it is time. The reader calls this often, between two steps of the work."""
        if time.perf_counter() < self._ends:
            return
        self._slices += 1
        is_over = self._slices % _SLICES_A_TURN == 0
        if is_over:
            _READING.release()
        # Without a wait, however short, this thread takes the interpreter again before another wakes.
        time.sleep(_AWAY_S)
        if is_over:
            _READING.acquire()
        self._ends = time.perf_counter() + _SLICE_S


THAI = "\u0e01-\u0e2e\u0e30-\u0e3a\u0e40-\u0e45\u0e47-\u0e4e"
"""The characters of words, for a character class. It has no ฯ, ๆ, ฿, digits and section marks."""

WORDLIKE = rf"\w{THAI}"
r"""`\w` and the vowels and tones above and below, which `\w` lacks."""

_SIGNS = "-+\u2212"
_BLANKS = re.compile(r"[^\S\r\n]+")
_THAI_CHARACTER = re.compile(f"[{THAI}ฯๆ]")


class Rule(NamedTuple):
    """Decides the matches of a pattern. If `spoken` returns None, later rules may decide it."""

    pattern: re.Pattern[str]
    spoken: Callable[[re.Match[str]], str | None]
    # Thai puts blanks around digits, Latin letters and abbreviations. They are no pauses.
    removes_blank_before: bool = True
    removes_blank_after: bool = False
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
        # Where a reading closes the blank before it, closes the one after it, or keeps the one before.
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
                (self._starts if rule.removes_blank_before else self._apart).add(match.start())
                if rule.removes_blank_after:
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
    return match.string[max(0, match.start() - 30) : match.start()].rstrip().endswith(words)


def one_of(written: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(written, key=len, reverse=True))
