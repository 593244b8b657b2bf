"""Numbers that count, compare and order: ranges, scores, ratios, fractions, versions, and the rest."""

from __future__ import annotations

import re
import unicodedata

from plugins.pythainlp.numbers import DASH, NUMBER, QUANTITY, cardinal, digits, number, quantity
from plugins.pythainlp.rule import THAI, Rule, follows
from speech_engine.text.draft import MASK

_OVER = "ทับ"
_SCORES = ("ชนะ", "แพ้", "เสมอ", "เสมอกัน", "สกอร์")
_NAMED = ("ที่", "ห้อง", "อาคาร", "ซอย", "ข้อ", "มาตรา")
_LARGEST_DENOMINATOR = 100
_HIGHEST_SCORE = 20

_WRITTEN_OVER = re.compile(
    rf"(?<!\d)(?<!\d[./,])(?:(?P<whole>\d{{1,3}}) )?(?P<parts>{NUMBER}(?:/{NUMBER})+)(?![.,]?\d|/\d)"
)
_DRAWN = re.compile(r"(?<!\d)(?:(?P<whole>\d{1,3}) ?)?(?P<drawn>[¼-¾⅐-⅞])")
_DOTTED = re.compile(r"(?<![\d.])\d+(?:\.\d+){2,}(?![\d.])")
_RATIO = re.compile(rf"(?<![\d:])({NUMBER}) ?: ?({NUMBER})(?![\d:])")
_SILENT_HYPHEN = re.compile(rf"(?<=[A-Za-z{THAI}])-(?=\d)")
_LAUGHTER = re.compile(r"(?<![\d,.])(?:5{5,}|5{3,}(?=\+))\+*(?![\d,.])")
_EACH = re.compile(
    rf"(?<=[{MASK}{THAI}])/(?=ปี|เดือน|สัปดาห์|วัน|คืน|ชั่วโมง|นาที|วินาที|คน|ท่าน|ครั้ง|ชิ้น|หน่วย|กล่อง|ขวด|ห้อง|ไร่|คู่)"
)
_BETWEEN = re.compile(rf"(?<={MASK}){DASH}(?={MASK})")
_SUM = re.compile(rf"(?<={MASK}) ?([+=÷×]) ?(?={MASK})")
_SUMS = {"+": "บวก", "=": "เท่ากับ", "÷": "หาร", "×": "คูณ"}


def _over(match: re.Match[str]) -> str:
    whole, parts = match["whole"], match["parts"].split("/")
    words = cardinal(whole) if whole else ""
    if follows(match, "เลขที่"):
        # The part after the stroke of a house number is a name, not an amount.
        return words + _OVER.join((number(parts[0]), *map(digits, parts[1:])))
    # Right behind an abbreviation, the numbers name a class: `ม.1/2`.
    is_name = match.string[max(0, match.start() - 1) : match.start()] == MASK or follows(match, *_NAMED)
    if len(parts) == 2 and not is_name and _is_proper(*parts):
        return f"{words}เศษ{cardinal(parts[0])}ส่วน{cardinal(parts[1])}"
    return (f"{words} " if words else "") + _OVER.join(map(number, parts))


def _is_proper(above: str, below: str) -> bool:
    if not (above.isdecimal() and below.isdecimal() and len(below) <= 3):
        return False
    return 0 < int(above) < int(below) <= _LARGEST_DENOMINATOR


def _drawn(match: re.Match[str]) -> str | None:
    above, _, below = unicodedata.normalize("NFKC", match["drawn"]).partition("\u2044")
    if not below:
        return None
    whole = cardinal(match["whole"]) if match["whole"] else ""
    return f"{whole}เศษ{cardinal(above)}ส่วน{cardinal(below)}"


def _dotted(match: re.Match[str]) -> str:
    parts = match.group().split(".")
    # Four parts are an internet address, and three parts are a version.
    return "จุด".join(map(digits if len(parts) == 4 else cardinal, parts))


def _is_falling(written: str) -> bool:
    """Return whether the numbers fall. A range does not fall: `3-0` is the result of a match."""
    first, _, last = written.partition("-")
    return first.isdecimal() and last.isdecimal() and int(last) < int(first) <= _HIGHEST_SCORE


def _quantity(match: re.Match[str]) -> str:
    if match.string[match.end() : match.end() + 2].lstrip(" ").startswith("="):
        return quantity(match.group(), between="ลบ")
    is_score = follows(match, *_SCORES) or _is_falling(match.group())
    return quantity(match.group(), between="ต่อ" if is_score else "ถึง")


RULES = (
    # The word for five is `ห้า`, so a row of fives is laughter.
    Rule(_LAUGHTER, lambda match: "ฮ่าฮ่าฮ่า", removes_blank_before=False),
    Rule(_EACH, lambda match: "ต่อ"),
    Rule(_BETWEEN, lambda match: "ถึง", removes_blank_after=True),
    Rule(_DOTTED, _dotted, removes_blank_after=True),
    Rule(_WRITTEN_OVER, _over, removes_blank_after=True),
    Rule(_DRAWN, _drawn, removes_blank_after=True),
    Rule(_RATIO, lambda match: f"{number(match[1])}ต่อ{number(match[2])}", removes_blank_after=True),
    Rule(_SILENT_HYPHEN, lambda match: ""),
    Rule(re.compile(QUANTITY), _quantity, removes_blank_after=True),
    Rule(re.compile(NUMBER), lambda match: number(match.group()), removes_blank_after=True),
    Rule(_SUM, lambda match: _SUMS[match[1]], removes_blank_after=True),
)
