"""Links in a text: of a bare one only the host is read."""

from __future__ import annotations

import re
from collections.abc import Iterator

_BEFORE = r"A-Za-z0-9\u00c0-\u024f\u0370-\u058f"
# Letters of scripts with blanks: in the others, a link may be followed by a word without one. Arabic and
# Indic ones without what ends a sentence.
_LETTERS = (
    r"A-Za-z0-9\u00c0-\u024f\u0370-\u060b\u060d-\u061a\u061c-\u061e\u0620-\u06d3\u06d5-\u0963\u0966-\u0dff"
    r"\u10a0-\u10ff\u1e00-\u1fff"
)
# A host is read, so it may take any letter and vowel sign.
_OF_HOST = r"[\w\u0900-\u0dff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff-]"
_LINK = re.compile(
    rf"(?<![{_BEFORE}])(?:https?://(?:[{_LETTERS}._~%!$&+=:-]*@)?|(?=www\.))"
    rf"(?P<host>(?:{_OF_HOST}+\.)*{_OF_HOST}+)(?::\d{{1,5}})?"
    # The next link may be in the same word.
    rf"(?P<rest>(?:[/?#](?:(?![,;|](?:https?://|www\.))[{_LETTERS}/?#._~%!$&'()+,;=:@|-])*)?)",
    re.IGNORECASE,
)
_SUFFIX = re.compile("'[a-z]{1,2}$")
_NOT_OF_IT = ".,;:!?'_|"
"""At the end of a link, these belong to the sentence."""


def unread(text: str) -> Iterator[int]:
    """Yield the places of a text that belong to a bare link, but not to its host."""
    if "://" not in text and "www." not in text.lower():
        return
    for link in _LINK.finditer(text):
        start, end = link.start(), link.end("host") + len(_own(text[link.end("host") : link.end()]))
        if text[max(0, start - 1) : start] == "<" and text[end : end + 1] == ">":
            start, end = start - 1, end + 1
        yield from range(start, link.start("host"))
        yield from range(link.end("host"), end)


def host_of(text: str, start: int, end: int) -> range:
    """Return the place of the host of the first link in a range: empty if there is none."""
    link = _LINK.search(text, start, end)
    return range(0) if link is None else range(*link.span("host"))


def _own(rest: str) -> str:
    """Return what of a link's end is its own: "(see https://a.org/b_(c))." has one bracket of it.

    No link ends in an apostrophe and a letter or two: "https://a.org/b's page".
    """
    closed = rest.count(")") - rest.count("(")
    end = len(rest)
    while end and (rest[end - 1] in _NOT_OF_IT or (rest[end - 1] == ")" and closed > 0)):
        closed -= rest[end - 1] == ")"
        end -= 1
    return _SUFFIX.sub("", rest[:end])
