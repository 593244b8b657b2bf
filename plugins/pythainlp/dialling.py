"""Numbers that are said digit by digit: telephones, hotlines, postcodes and identity numbers."""

from __future__ import annotations

import re

from plugins.pythainlp.numbers import digits
from plugins.pythainlp.rule import THAI, Rule, follows

_HOTLINES = ("โทร", "โทร.", "โทรศัพท์", "สายด่วน", "เบอร์", "แฟกซ์", "โทรสาร")
_CODES = ("รหัส", "OTP", "PIN", "หมายเลข", "พัสดุ")
_BEFORE_POSTCODES = re.compile(rf"(?:ไปรษณีย์|กรุงเทพฯ|กรุงเทพมหานคร|กทม\.?|(?:จ\.|จังหวัด) ?[{THAI}]+) ?\Z")

_ABROAD = re.compile(r"(?<![\w+])\+(?P<country>66|\d{1,3})(?P<rest>(?:[ -]?\d){7,12})(?!\d)")
_GROUPED = re.compile(r"(?<![\d-])0\d{0,2}(?:[ -]\d{3,4}){2}(?![\d-])")
_TOGETHER = re.compile(r"(?<![\d,.])0\d{8,9}(?![\d,.]\d|\d)")
_SHORT = re.compile(r"(?<!\d)\d{3,6}(?![,.:/-]?\d)")
_EXTENSION = re.compile("(?<=\0 ต่อ )\\d{1,5}(?!\\d)")
_CODE = re.compile(r"(?<!\d)\d{3,12}(?![,.:/-]?\d)")
_POSTCODE = re.compile(r"(?<!\d)\d{5}(?!\d)")
_IDENTITY = re.compile(r"(?<![\d-])\d+(?:-\d+){2,}(?![\d-])")


def _groups(written: str) -> str:
    return " ".join(digits(group) for group in re.split("[ -]", written) if group)


def _abroad(match: re.Match[str]) -> str:
    rest = match["rest"].strip(" -")
    if match["country"] == "66" and rest.isdecimal():
        rest = _spaced("0" + rest)[1:]
    return f"บวก{digits(match['country'])} {_groups(rest)}"


def _spaced(together: str) -> str:
    """Divide a Thai number as people dictate it: its area, then groups of three and four."""
    area = 2 if together.startswith("02") else 3
    return f"{together[:area]} {together[area : area + 3]} {together[area + 3 :]}"


def _hotline(match: re.Match[str]) -> str | None:
    return digits(match.group()) if follows(match, *_HOTLINES) else None


def _code(match: re.Match[str]) -> str | None:
    return digits(match.group()) if follows(match, *_CODES) else None


def _postcode(match: re.Match[str]) -> str | None:
    before = match.string[max(0, match.start() - 40) : match.start()]
    return digits(match.group()) if _BEFORE_POSTCODES.search(before) else None


# A dictated number keeps its pauses.
RULES = (
    Rule(_ABROAD, _abroad, removes_blank_before=False),
    Rule(_GROUPED, lambda match: _groups(match.group()), removes_blank_before=False),
    Rule(_TOGETHER, lambda match: _groups(_spaced(match.group())), removes_blank_before=False),
    Rule(_SHORT, _hotline, removes_blank_before=False),
    Rule(_EXTENSION, lambda match: digits(match.group())),
    Rule(_CODE, _code),
    Rule(_POSTCODE, _postcode),
    Rule(_IDENTITY, lambda match: _groups(match.group()), removes_blank_before=False),
)
