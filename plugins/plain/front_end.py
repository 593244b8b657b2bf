"""The front-end for languages that have none of their own: sentences, and nothing rewritten.

Numbers, dates and abbreviations are left to the engine; `plain` has no lexicon.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from itertools import accumulate, pairwise

import sentencex

from speech_engine.values import Segment

_DEFAULT_LANGUAGE = "en"

# sentencex panics at initials before a space of several bytes, and cannot take half a character at all.
_WIDE_SPACE = re.compile(r"[^\S \t\r\n]")
_SURROGATE = re.compile("[\ud800-\udfff]")

# Format characters that are part of the writing: the joiners of Indic scripts, Persian and emoji, and
# the Arabic, Syriac and Kaithi signs that stand around a number.
_JOINERS = "\u200c\u200d"
_NUMBER_SIGNS = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u08e2\U000110bd\U000110cd"
_KEPT_FORMATS = frozenset(_JOINERS + _NUMBER_SIGNS)
_REMOVED_CATEGORIES = frozenset(("Cc", "Cf", "Cs"))
_MUTE_CATEGORIES = frozenset("CMPZ")


class PlainFrontEnd:
    is_quick = True

    def __repr__(self) -> str:
        return "<PlainFrontEnd>"

    def prepare(self, text: str, language: str, lexicon: Mapping[str, str]) -> tuple[Segment, ...]:
        """As `FrontEnd.prepare`; whatever the lexicon has, `plain` says the words as they are written."""
        del lexicon
        return tuple(
            Segment(spoken, start, end)
            for start, end in _ranges(text, language)
            # Nothing is left only where the whole text has nothing: a range speaks, or it is all there is.
            if (spoken := _spoken(text[start:end])).strip(_JOINERS)
        )


def _ranges(text: str, language: str) -> Iterator[tuple[int, int]]:
    """Tiles the text; a piece of white space or bare punctuation joins the one before it, or the first."""
    start = end = 0
    has_speech = False
    for piece in _sentences(text, language):
        if _is_speech(piece):
            if has_speech:
                yield start, end
                start = end
            has_speech = True
        end += len(piece)
    yield start, len(text)


def _sentences(text: str, language: str) -> Iterator[str]:
    # Stand-ins of the same length keep the places right; the pieces are the user's text again.
    splittable = _SURROGATE.sub("\ufffd", _WIDE_SPACE.sub(" ", text))
    pieces: list[str] = list(sentencex.segment(_base_language(language), splittable))
    # Places count characters of the user's text, so a splitter that dropped one must not be believed.
    lengths = map(len, pieces) if "".join(pieces) == splittable else (len(text),)
    for start, end in pairwise(accumulate(lengths, initial=0)):
        yield text[start:end]


def _base_language(tag: str) -> str:
    base = re.split("[-_]", tag, maxsplit=1)[0].lower()
    return base if base.isascii() and base.isalpha() else _DEFAULT_LANGUAGE


def _is_speech(piece: str) -> bool:
    return any(unicodedata.category(character)[0] not in _MUTE_CATEGORIES for character in piece)


def _spoken(source: str) -> str:
    if source.isascii() and source.isprintable():
        return " ".join(source.split())  # nearly every English sentence, and quicker by far
    # Composed after the removal: a zero-width character may have stood between a letter and its accent.
    kept = "".join(character for character in source if _is_kept(character))
    return " ".join(unicodedata.normalize("NFC", kept).split())


def _is_kept(character: str) -> bool:
    if character.isspace() or character in _KEPT_FORMATS:
        return True
    return unicodedata.category(character) not in _REMOVED_CATEGORIES
