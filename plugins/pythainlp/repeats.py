"""The sign ๆ: what stands before it is said again."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence

from plugins.pythainlp.rule import THAI, Rule
from speech_engine.draft import MASK

# Spelling asks for a blank on either side; where the first was left out, the second is a pause.
_SET_OFF = re.compile(r"(?<=\s)ๆ")
_SIGN = re.compile("ๆ")
_FARTHEST = 60
_BEFORE = re.compile(rf"([{THAI}]+)[ ๆ]*\Z")

# Said again as a whole.
_PHRASES = ("วันหนึ่ง", "ปีหนึ่ง", "เดือนหนึ่ง", "แต่ละวัน", "แต่ละคน", "ทีละน้อย", "ทีละคน", "ทีละอย่าง")

# Said again alone, though the dictionary has longer words that end with them: `คนอื่นๆ`.
_LAST_WORDS = (
    *("อื่น", "ต่าง", "เล็ก", "ใหญ่", "น้อย", "มาก", "ดี", "สวย", "ง่าย", "ยาก", "สั้น", "ยาว", "สูง"),
    *("ใกล้", "ไกล", "ใหม่", "เก่า", "จริง", "เรื่อย", "บ่อย", "ช้า", "เร็ว", "เบา", "เฉย"),
)


def rules(text: str, ends: Sequence[int], lexicon: Mapping[str, str]) -> tuple[Rule, ...]:
    """For a text whose words end there; what its lexicon says otherwise is said otherwise twice."""

    def again(match: re.Match[str]) -> str | None:
        before = _BEFORE.search(text, max(0, match.start() - _FARTHEST), match.start())
        if before is None:
            return None
        end = before.end(1)
        if match.string[end - 1] == MASK:
            found = (word for word in lexicon if text.endswith(word, 0, end))
            return lexicon.get(max(found, key=len, default=""))
        return _last(before[1], end - ends[bisect_left(ends, end) - 1])

    return (Rule(_SET_OFF, again, closes_after=True), Rule(_SIGN, again))


def _last(run: str, length: int) -> str:
    """What is said again of the letters before the sign, whose last word is so long."""
    word = run[-length:]
    whole = (said for said in _PHRASES if run.endswith(said))
    alone = (said for said in _LAST_WORDS if word.endswith(said))
    return next(whole, next(alone, word))
