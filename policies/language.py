"""Which language a text is to be spoken in, as far as that can be told without a detector."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable

DEFAULT = "en"
_SHARE = 0.3

_SCRIPTS = (
    (0x0370, 0x03FF, "el"),
    (0x0400, 0x052F, "ru"),
    (0x0530, 0x058F, "hy"),
    (0x0590, 0x05FF, "he"),
    (0x0600, 0x06FF, "ar"),
    (0x0900, 0x097F, "hi"),
    (0x0980, 0x09FF, "bn"),
    (0x0B80, 0x0BFF, "ta"),
    (0x0C00, 0x0C7F, "te"),
    (0x0E00, 0x0E7F, "th"),
    (0x10A0, 0x10FF, "ka"),
    (0x1100, 0x11FF, "ko"),
    (0x3040, 0x30FF, "ja"),
    (0x3400, 0x4DBF, "zh"),
    (0x4E00, 0x9FFF, "zh"),
    (0xAC00, 0xD7A3, "ko"),
    (0x20000, 0x2FA1F, "zh"),
)
_FIRSTS = [first for first, _, _ in _SCRIPTS]

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
    """The language a script gives away, where it has 30 % of the letters or more; any kana is Japanese.

    An English sentence that quotes one Thai word stays English. Where languages share a script, it is
    the one with most speakers: better than letters spelled out in English, and a request can say.
    """
    if text.isascii():
        return None
    counts: Counter[str | None] = Counter(
        _language_of(ord(character)) for character in text if character.isalpha()
    )
    letters = counts.total()
    if counts["ja"]:
        counts["ja"] += counts.pop("zh", 0)
    del counts[None]
    if not counts:
        return None
    # Han letters stand in Korean and Japanese texts too; else by name, so that order does not matter.
    count, _, language = max((count, found != "zh", found or "") for found, count in counts.items())
    return language if count >= letters * _SHARE else None


def _language_of(point: int) -> str | None:
    first, last, language = _SCRIPTS[bisect_right(_FIRSTS, point) - 1]
    return language if first <= point <= last else None


def choose(explicit: str | None, of_voice: str | None, text: str) -> str:
    """Explicit field > voice's language > what the script gives away > the default."""
    return explicit or of_voice or by_script(text) or DEFAULT
