"""Abbreviations: some are read in full, and others are said letter by letter."""

from __future__ import annotations

import re
from collections.abc import Callable

from pythainlp.corpus import thai_female_names, thai_male_names

from plugins.pythainlp.dates import ERAS, SHORT_MONTHS
from plugins.pythainlp.measures import CLEAR
from plugins.pythainlp.rule import THAI, Rule, one_of
from speech_engine.text.draft import MASK

_TITLES = {
    "ดร.": "ดอกเตอร์",
    "นพ.": "นายแพทย์",
    "น.พ.": "นายแพทย์",
    "พญ.": "แพทย์หญิง",
    "พ.ญ.": "แพทย์หญิง",
    "ทพ.": "ทันตแพทย์",
    "ทพญ.": "ทันตแพทย์หญิง",
    "น.สพ.": "นายสัตวแพทย์",
    "สพ.ญ.": "สัตวแพทย์หญิง",
    "ภก.": "เภสัชกร",
    "ภญ.": "เภสัชกรหญิง",
    "ศ.": "ศาสตราจารย์",
    "รศ.": "รองศาสตราจารย์",
    "ผศ.": "ผู้ช่วยศาสตราจารย์",
    "น.ส.": "นางสาว",
    "ด.ช.": "เด็กชาย",
    "ด.ญ.": "เด็กหญิง",
    "ม.จ.": "หม่อมเจ้า",
    "ม.ร.ว.": "หม่อมราชวงศ์",
    "ม.ล.": "หม่อมหลวง",
    "ผอ.": "ผู้อำนวยการ",
    "ผบ.": "ผู้บัญชาการ",
    "ผบ.ตร.": "ผู้บัญชาการตำรวจแห่งชาติ",
    "ผบ.ทบ.": "ผู้บัญชาการทหารบก",
    "ผวจ.": "ผู้ว่าราชการจังหวัด",
    "รมว.": "รัฐมนตรีว่าการ",
    "รมช.": "รัฐมนตรีช่วยว่าการ",
}
_RANKS = {
    "พล.อ.": "พลเอก",
    "พล.ท.": "พลโท",
    "พล.ต.": "พลตรี",
    "พล.ร.อ.": "พลเรือเอก",
    "พล.อ.อ.": "พลอากาศเอก",
    "พ.อ.": "พันเอก",
    "พ.ท.": "พันโท",
    "พ.ต.": "พันตรี",
    "ร.อ.": "ร้อยเอก",
    "ร.ท.": "ร้อยโท",
    "ร.ต.": "ร้อยตรี",
    "น.อ.": "นาวาเอก",
    "น.ท.": "นาวาโท",
    "น.ต.": "นาวาตรี",
    "จ.ส.อ.": "จ่าสิบเอก",
    "จ.ส.ท.": "จ่าสิบโท",
    "จ.ส.ต.": "จ่าสิบตรี",
    "ส.อ.": "สิบเอก",
    "ส.ท.": "สิบโท",
    "ส.ต.": "สิบตรี",
    "พล.ต.อ.": "พลตำรวจเอก",
    "พล.ต.ท.": "พลตำรวจโท",
    "พล.ต.ต.": "พลตำรวจตรี",
    "พ.ต.อ.": "พันตำรวจเอก",
    "พ.ต.ท.": "พันตำรวจโท",
    "พ.ต.ต.": "พันตำรวจตรี",
    "ร.ต.อ.": "ร้อยตำรวจเอก",
    "ร.ต.ท.": "ร้อยตำรวจโท",
    "ร.ต.ต.": "ร้อยตำรวจตรี",
    "ด.ต.": "ดาบตำรวจ",
    "ส.ต.อ.": "สิบตำรวจเอก",
    "ส.ต.ท.": "สิบตำรวจโท",
    "ส.ต.ต.": "สิบตำรวจตรี",
}
_PLACES = {
    "จ.": "จังหวัด",
    "อ.": "อำเภอ",
    "ต.": "ตำบล",
    "ถ.": "ถนน",
    "ซ.": "ซอย",
    "รพ.": "โรงพยาบาล",
    "รร.": "โรงเรียน",
    "ร.ร.": "โรงเรียน",
    "สน.": "สถานีตำรวจนครบาล",
    "สภ.": "สถานีตำรวจภูธร",
    "ธ.": "ธนาคาร",
    "บจก.": "บริษัทจำกัด",
    "บมจ.": "บริษัทมหาชนจำกัด",
    "หจก.": "ห้างหุ้นส่วนจำกัด",
}
_LAWS = {
    "พ.ร.บ.": "พระราชบัญญัติ",
    "พ.ร.ก.": "พระราชกำหนด",
    "พ.ร.ฎ.": "พระราชกฤษฎีกา",
    "รธน.": "รัฐธรรมนูญ",
    "ครม.": "คณะรัฐมนตรี",
    "คกก.": "คณะกรรมการ",
    "จนท.": "เจ้าหน้าที่",
    "ปชช.": "ประชาชน",
    "ปธน.": "ประธานาธิบดี",
    "ตร.": "ตำรวจ",
}
_OPENING = _TITLES | _RANKS | _PLACES | _LAWS | ERAS | SHORT_MONTHS
"""Abbreviations before a name, a number or a verb, which follows without a pause."""

_ALONE = {
    "กทม.": "กรุงเทพมหานคร",
    "โทร.": "โทรศัพท์",
    "นร.": "นักเรียน",
    "น.ศ.": "นักศึกษา",
    "ฯลฯ": "และอื่นอื่น",
    "ฯพณฯ": "พะนะท่าน",
    "กรุงเทพฯ": "กรุงเทพมหานคร",
    "โปรดเกล้าฯ": "โปรดเกล้าโปรดกระหม่อม",
    "ทูลเกล้าฯ": "ทูลเกล้าทูลกระหม่อม",
    "น้อมเกล้าฯ": "น้อมเกล้าน้อมกระหม่อม",
    "นายกฯ": "นายกรัฐมนตรี",
    "จุฬาฯ": "จุฬาลงกรณ์มหาวิทยาลัย",
} | CLEAR

# Names that are also written without a point. They are said by their letters.
_LETTERS = (
    *("กกต", "กฟผ", "กยศ", "กสทช", "ขสมก", "คสช", "ททท", "ธกส", "ธอส", "บขส", "ปตท", "ปปช", "ปวช", "ปวส"),
    *("รปภ", "รฟท", "รฟม", "สตง", "สปสช", "สพฐ", "สสส", "อบจ", "อบต", "อปพร", "อสม"),
)

_UNKNOWN = re.compile(rf"(?<![{THAI}])([ก-ฮ]{{2,5}})\.(?![ก-ฮ]\.)")

_NAMES = thai_male_names() | thai_female_names()
_TEACHER = re.compile(rf"(?<!\.)อ\.(?= ?(?P<name>[{THAI}]+))")

# One pattern has all of them, so that no part of a longer abbreviation is taken for a shorter one.
_LONG = [word for word in (*_OPENING, *_ALONE) if len(word) > 2]
_SHORT = [word for word in _OPENING if len(word) == 2]
_ANY = re.compile(
    rf"{one_of(_LONG)}|(?:{one_of(_SHORT)})(?![ก-ฮ]\.)|กทม(?![{THAI}])"
    rf"|(?:{one_of(_LETTERS)})(?![{THAI}.])|(?<![{THAI}])(?:[ก-ฮ]{{1,2}}\.){{2,}}"
)


def _opening(match: re.Match[str]) -> str | None:
    written = match.group()
    if written == "กทม" or written in _ALONE:
        return None
    return _OPENING.get(written, _spelled(written))


def _spelled(written: str) -> str:
    return "".join(f"{letter}อ" for letter in written if letter != ".")


def _alone(match: re.Match[str]) -> str | None:
    written = match.group()
    return _ALONE.get("กทม." if written == "กทม" else written)


def _teacher(match: re.Match[str]) -> str | None:
    """Return a teacher if a person's name follows. Otherwise `อ.` is a district (`อ.ปาย`)."""
    return "อาจารย์" if match["name"] in _NAMES else None


def _always(pattern: str, reading: str) -> Rule:
    return _rule(re.compile(pattern), lambda match: reading)


def _rule(pattern: re.Pattern[str], spoken: Callable[[re.Match[str]], str | None]) -> Rule:
    return Rule(pattern, spoken, removes_blank_before=False, removes_blank_after=True, at_a_word=True)


_KNOWN = (
    # The same letter has another meaning before a number, a place or a name.
    _always(r"ม\.(?= ?\d{1,2} +(?:ต\.|ตำบล))", "หมู่"),
    _always(r"ม\.(?= ?[1-6](?!\d))", "มัธยมศึกษาปีที่"),
    _always(r"ป\.(?= ?[1-6](?!\d))", "ประถมศึกษาปีที่"),
    _always(r"ร\.(?= ?\d{1,2}(?!\d))", "รัชกาลที่"),
    _always(r"ม\.(?=[ก-ฮเ-ไ](?!\.))", "มหาวิทยาลัย"),
    _rule(_TEACHER, _teacher),
    _rule(_ANY, _opening),
    Rule(_ANY, _alone, removes_blank_before=False, at_a_word=True),
    Rule(re.compile(f"(?<=[{THAI}{MASK}])ฯ"), lambda match: "", removes_blank_before=False),
)


def rules(is_word: Callable[[str], bool]) -> tuple[Rule, ...]:
    """Return all rules, with a rule for abbreviations that no table has.

    These are letters before a point that are no word: `ศบค.`, but not `ถนน.`
    """

    def unknown(match: re.Match[str]) -> str | None:
        return None if is_word(match[1]) else _spelled(match[1])

    return (*_KNOWN, _rule(_UNKNOWN, unknown))
