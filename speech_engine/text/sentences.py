"""Where sentences end. Apart from the rest of the package: only a front-end needs sentencex installed."""

from __future__ import annotations

import re
from itertools import accumulate

import sentencex

_DEFAULT_LANGUAGE = "en"

# sentencex panics at initials before a space of several bytes, and cannot take half a character at all.
_WIDE_SPACE = re.compile(r"[^\S \t\r\n]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def sentence_ends(text: str, language: str) -> list[int]:
    """The places of `text` behind which it may be cut, its end among them; by general rules for a language
    that nobody has rules for."""
    # Stand-ins of the same length keep the places right.
    splittable = _SURROGATE.sub("\ufffd", _WIDE_SPACE.sub(" ", text))
    pieces: list[str] = list(sentencex.segment(base_language(language), splittable))
    # Places count characters of this text, so a splitter that dropped one must not be believed.
    return list(accumulate(map(len, pieces))) if "".join(pieces) == splittable else [len(text)]


def base_language(tag: str) -> str:
    base = re.split("[-_]", tag, maxsplit=1)[0].lower()
    return base if base.isascii() and base.isalpha() else _DEFAULT_LANGUAGE
