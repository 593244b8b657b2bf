"""The sign ๆ: the word before it is said again."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence

from plugins.pythainlp.rule import THAI, Rule
from plugins.pythainlp.words import Words
from speech_engine.text.draft import MASK

# The spelling rules ask for a blank on either side. If the first is missing, the second is a pause.
_SET_OFF = re.compile(r"(?<=\s)ๆ")
_SIGN = re.compile("ๆ")
_FARTHEST = 60
_BEFORE = re.compile(rf"([{THAI}]+)[ ๆ]*\Z")

# These are said again as a whole.
_PHRASES = ("วันหนึ่ง", "ปีหนึ่ง", "เดือนหนึ่ง", "แต่ละวัน", "แต่ละคน", "ทีละน้อย", "ทีละคน", "ทีละอย่าง")

# These are said again alone, though the dictionary has longer words that end with them: `คนอื่นๆ`.
_LAST_WORDS = (
    *("อื่น", "ต่าง", "เล็ก", "ใหญ่", "น้อย", "มาก", "ดี", "สวย", "ง่าย", "ยาก", "สั้น", "ยาว", "สูง"),
    *("ใกล้", "ไกล", "ใหม่", "เก่า", "จริง", "เรื่อย", "บ่อย", "ช้า", "เร็ว", "เบา", "เฉย"),
)


class Repeats:
    """The rules for ๆ in a text, given a lexicon and the ends of its words, which begin with 0.

    If the lexicon has another reading for a word, that reading is said twice.
    """

    def __init__(self, text: str, ends: Sequence[int], lexicon: Mapping[str, str], words: Words) -> None:
        self._text = text
        self._ends = ends
        self._lexicon = lexicon
        self._words = words

    def rules(self) -> tuple[Rule, ...]:
        return (Rule(_SET_OFF, self._again, removes_blank_after=True), Rule(_SIGN, self._again))

    def _again(self, match: re.Match[str]) -> str | None:
        before = _BEFORE.search(self._text, max(0, match.start() - _FARTHEST), match.start())
        if before is None:
            return None
        end = before.end(1)
        # The word is decided. If an entry of the lexicon ends here, its reading is said again.
        if match.string[end - 1] == MASK:
            entries = (word for word in self._lexicon if self._text.endswith(word, 0, end))
            return self._lexicon.get(max(entries, key=len, default=""))
        word = self._text[self._ends[bisect_left(self._ends, end) - 1] : end]
        return next((phrase for phrase in _PHRASES if before[1].endswith(phrase)), self._last(word))

    def _last(self, word: str) -> str:
        parts = ((word.removesuffix(last), last) for last in _LAST_WORDS if word.endswith(last))
        # `คดี` ends with `ดี` by chance: the rest of it is no word.
        return next((last for first, last in parts if self._words.has(first)), word)
