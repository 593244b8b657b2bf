"""Finds the ends of sentences. The package does not import it, since only a front-end needs sentencex."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import accumulate

import sentencex

_DEFAULT_LANGUAGE = "en"

# sentencex panics at initials before a space of several bytes, and cannot take half a character at all.
_WIDE_SPACE = re.compile(r"[^\S \t\r\n]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def sentence_ends(text: str, language: str) -> list[int]:
    """Return the places after which `text` may be cut, its end included. A language without rules gets
    general rules."""
    # Substitutes of the same length keep the places right.
    splittable = _SURROGATE.sub("\ufffd", _WIDE_SPACE.sub(" ", text))
    pieces: list[str] = list(sentencex.segment(base_language(language), splittable))
    # Places count characters of this text, so a splitter that dropped one must not be believed.
    return list(accumulate(map(len, pieces))) if "".join(pieces) == splittable else [len(text)]


@lru_cache  # a server reads few languages
def base_language(tag: str) -> str:
    base = tag.replace("_", "-").partition("-")[0].lower()
    return base if base.isascii() and base.isalpha() else _DEFAULT_LANGUAGE
