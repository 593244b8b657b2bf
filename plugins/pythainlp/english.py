"""English words in a Thai text: said the Thai way where they are known, left as written where not."""

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

_SAID = {
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
# As no word of any language begins.
_UNSPEAKABLE = re.compile(r"[^AEIOU]{3}|[^AEIOU]+\Z")
_POINTED = re.compile(r"(?<![A-Za-z.])(?:[A-Z]\.){2,}(?![A-Za-z])")
_WORD = re.compile(r"[^\W\d_ก-๛]+(?:['’&.-][^\W\d_ก-๛]+)*")
_RUN = re.compile(rf"{_WORD.pattern}(?: {_WORD.pattern})*")
_ALWAYS_SPELLED = 3
_LONGEST_SPELLED = 5


class English:
    def __init__(self) -> None:
        self._said = _transliterations() | _SAID

    def __repr__(self) -> str:
        return f"<English {len(self._said)} words>"

    def rules(self, text: str) -> tuple[Rule, ...]:
        """For what is still open of a text. A phrase is said one way: all of its words are known, or none."""
        known: dict[int, str | None] = {}
        for run in _RUN.finditer(text):
            words = {word.start(): self._word(word.group()) for word in _WORD.finditer(text, *run.span())}
            if all(words.values()):
                known |= words
        return (
            Rule(_POINTED, lambda match: _spelled(match.group()), closes_after=True),
            Rule(_WORD, lambda match: known.get(match.start()), closes_after=True),
        )

    def _word(self, written: str) -> str | None:
        is_capitals = written.isascii() and written.isalpha() and written.isupper()
        if is_capitals and len(written) <= _ALWAYS_SPELLED:
            return _SAID.get(written.lower()) or _spelled(written)
        known = self._said.get(written.lower())
        if known is None and _JOINED.fullmatch(written):
            return "แอนด์".join(map(_spelled, written.split("&")))
        if known is None and is_capitals and len(written) <= _LONGEST_SPELLED and _UNSPEAKABLE.match(written):
            return _spelled(written)
        return known


NAMES = (
    Rule(
        re.compile(rf"(?<![\w-])(?:{one_of(_WITH_DIGITS)})(?![A-Za-z0-9-])", re.IGNORECASE),
        lambda match: _WITH_DIGITS[match.group().lower()],
        closes_after=True,
    ),
)
"""Names with digits that must not be read as numbers first."""


def _spelled(written: str) -> str:
    return "".join(_LETTERS[letter] for letter in written if letter != ".")


def _transliterations() -> dict[str, str]:
    """The library's, turned around. It has spellings that its editors call wrong, but hands out their mark
    for those as if it were the one for right: `_SAID` has the words where a wrong one would come first."""
    found: dict[str, str] = {}
    for thai, columns in get_transliteration_dict().items():
        for english in columns[TRANSLITERATE_EN]:
            if isinstance(english, str) and len(english) > 1:
                found.setdefault(english.lower(), thai)
    return found
