"""Which language a text is to be spoken in, as far as that can be told without a detector."""

from __future__ import annotations

from collections.abc import Callable

DEFAULT = "en"
_THAI_SHARE = 0.3

# A region has two letters, a script four.
_CASES: dict[int, Callable[[str], str]] = {2: str.upper, 4: str.title}


def base(tag: str) -> str:
    """`pt-BR` → `pt`."""
    return tag.split("-", 1)[0].lower()


def usual(tag: str) -> str:
    """A tag as it is usually written: `PT-br` → `pt-BR`, `zh-hant-tw` → `zh-Hant-TW`."""
    first, *rest = tag.split("-")
    return "-".join((first.lower(), *(_CASES.get(len(part), str.lower)(part) for part in rest)))


def by_script(text: str) -> str | None:
    """The language a script gives away: Thai from 30 % of the letters on, kana, hangul, Han.

    An English sentence that quotes one Thai word stays English. Scripts that many languages share say
    nothing here.
    """
    if text.isascii():
        return None
    counts = {"th": 0, "ja": 0, "ko": 0, "zh": 0}
    letters = 0
    for character in text:
        if not character.isalpha():
            continue
        letters += 1
        if (language := _language_of(ord(character))) is not None:
            counts[language] += 1
    if not letters:
        return None
    if counts["th"] >= letters * _THAI_SHARE:
        return "th" if counts["th"] else None
    if counts["ja"]:
        return "ja"
    east_asian = counts["ko"] + counts["zh"]
    if east_asian >= letters * _THAI_SHARE and east_asian:
        return "ko" if counts["ko"] >= counts["zh"] else "zh"
    return None


def _language_of(point: int) -> str | None:
    if point < 0x0E00:
        return None
    if point <= 0x0E7F:
        return "th"
    if 0x3040 <= point <= 0x30FF:
        return "ja"
    if 0xAC00 <= point <= 0xD7A3 or 0x1100 <= point <= 0x11FF:
        return "ko"
    if 0x4E00 <= point <= 0x9FFF or 0x3400 <= point <= 0x4DBF or 0x20000 <= point <= 0x2FA1F:
        return "zh"
    return None


def choose(explicit: str | None, of_voice: str | None, text: str) -> str:
    """Explicit field > voice's language > what the script gives away > the default."""
    return explicit or of_voice or by_script(text) or DEFAULT
