"""English words in a Thai text. Known words are said the Thai way; others stay as written."""

from __future__ import annotations

import re

from pythainlp.corpus.th_en_translit import TRANSLITERATE_EN, get_transliteration_dict

from plugins.pythainlp.rule import Rule, one_of

_LETTERS = dict(
    zip(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (
            *("เอ", "บี", "ซี", "ดี", "อี", "เอฟ", "จี", "เอช", "ไอ", "เจ", "เค", "แอล", "เอ็ม"),
            *("เอ็น", "โอ", "พี", "คิว", "อาร์", "เอส", "ที", "ยู", "วี", "ดับเบิลยู", "เอกซ์", "วาย", "แซด"),
        ),
        strict=True,
    )
)

_SPELLINGS = {
    "aids": "เอดส์",
    "android": "แอนดรอยด์",
    "app": "แอป",
    "asean": "อาเซียน",
    "battery": "แบตเตอรี่",
    "bitcoin": "บิตคอยน์",
    "bluetooth": "บลูทูธ",
    "cafe": "คาเฟ่",
    "character": "แครักเตอร์",
    "chatgpt": "แชตจีพีที",
    "covid": "โควิด",
    "crypto": "คริปโท",
    "cryptocurrency": "คริปโทเคอร์เรนซี",
    "digital": "ดิจิทัล",
    "e-mail": "อีเมล",
    "facebook": "เฟซบุ๊ก",
    "fifa": "ฟีฟ่า",
    "google": "กูเกิล",
    "grab": "แกร็บ",
    "instagram": "อินสตาแกรม",
    "internet": "อินเทอร์เน็ต",
    "ios": "ไอโอเอส",
    "ipad": "ไอแพด",
    "iphone": "ไอโฟน",
    "line": "ไลน์",
    "microsoft": "ไมโครซอฟท์",
    "nasa": "นาซา",
    "nato": "นาโต",
    "netflix": "เน็ตฟลิกซ์",
    "office": "ออฟฟิศ",
    "ok": "โอเค",
    "opec": "โอเปก",
    "otop": "โอทอป",
    "package": "แพ็กเกจ",
    "private": "ไพรเวต",
    "profile": "โพรไฟล์",
    "ram": "แรม",
    "sex": "เซ็กส์",
    "shopee": "ช้อปปี้",
    "sim": "ซิม",
    "smartphone": "สมาร์ตโฟน",
    "smoothie": "สมูทที",
    "stamp": "แสตมป์",
    "startup": "สตาร์ตอัป",
    "taxi": "แท็กซี่",
    "tiktok": "ติ๊กต็อก",
    "twitter": "ทวิตเตอร์",
    "unesco": "ยูเนสโก",
    "unicef": "ยูนิเซฟ",
    "video": "วิดีโอ",
    "website": "เว็บไซต์",
    "wi-fi": "ไวไฟ",
    "wifi": "ไวไฟ",
    "windows": "วินโดวส์",
    "youtube": "ยูทูบ",
}

_WITH_DIGITS = {"7-eleven": "เซเว่นอีเลฟเว่น", "7-11": "เซเว่นอีเลฟเว่น"}

_JOINED = re.compile(r"[A-Z](?:&[A-Z])+")
# No word of any language begins like this.
_UNSPEAKABLE = re.compile(r"[^AEIOU]{3}|[^AEIOU]+\Z")
_POINTED = re.compile(r"(?<![A-Za-z.])(?:[A-Z]\.){2,}(?![A-Za-z])")
_WORD = re.compile(r"[^\W\d_ก-๛]+(?:['’&.-][^\W\d_ก-๛]+)*")
_RUN = re.compile(rf"{_WORD.pattern}(?: {_WORD.pattern})*")
_ALWAYS_SPELLED = 3
_LONGEST_SPELLED = 5


class English:
    def __init__(self) -> None:
        self._spellings = _transliterations() | _SPELLINGS

    def rules(self, text: str) -> tuple[Rule, ...]:
        """Return the rules for the open parts of a text.

        If all words of a phrase are known, all are said the Thai way. Otherwise none is.
        """
        readings: dict[int, str | None] = {}
        for run in _RUN.finditer(text):
            words = {word.start(): self._word(word.group()) for word in _WORD.finditer(text, *run.span())}
            if all(words.values()):
                readings |= words
        return (
            Rule(_POINTED, lambda match: _spelled(match.group()), removes_blank_after=True),
            Rule(_WORD, lambda match: readings.get(match.start()), removes_blank_after=True),
        )

    def _word(self, written: str) -> str | None:
        is_capitals = written.isascii() and written.isalpha() and written.isupper()
        if is_capitals and len(written) <= _ALWAYS_SPELLED:
            return _SPELLINGS.get(written.lower()) or _spelled(written)
        thai = self._spellings.get(written.lower())
        if thai is None and _JOINED.fullmatch(written):
            return "แอนด์".join(map(_spelled, written.split("&")))
        if thai is None and is_capitals and len(written) <= _LONGEST_SPELLED and _UNSPEAKABLE.match(written):
            return _spelled(written)
        return thai


NAMES = (
    Rule(
        re.compile(rf"(?<![\w-])(?:{one_of(_WITH_DIGITS)})(?![A-Za-z0-9-])", re.IGNORECASE),
        lambda match: _WITH_DIGITS[match.group().lower()],
        removes_blank_after=True,
    ),
)
"""Names with digits. Their rule comes first, so that the digits are not read as numbers."""


def _spelled(written: str) -> str:
    return "".join(_LETTERS[letter] for letter in written if letter != ".")


def _transliterations() -> dict[str, str]:
    """Return the library's transliterations from English to Thai.

    The library has spellings that its editors call wrong. But it returns their mark for "wrong" as
    the mark for "right". If a wrong spelling would come first, `_SPELLINGS` has the word.
    """
    spellings: dict[str, str] = {}
    for thai, columns in get_transliteration_dict().items():
        for english in columns[TRANSLITERATE_EN]:
            if isinstance(english, str) and len(english) > 1:
                spellings.setdefault(english.lower(), thai)
    return spellings
