"""Cleans a text before any rule: NFC, without invisible, silent characters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from speech_engine.errors import UnsupportedText

# Format characters that are part of the writing: the joiners of Indic scripts, Persian and emoji, and
# the Arabic, Syriac and Kaithi signs that stand around a number.
JOINERS = "\u200c\u200d"
_NUMBER_SIGNS = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u08e2\U000110bd\U000110cd"
_ALLOWED_FORMATS = frozenset(JOINERS + _NUMBER_SIGNS)
_REMOVED_CATEGORIES = frozenset(("Cc", "Cf", "Cs"))
_MUTE_CATEGORIES = frozenset("CMPZ")
_FIRST_PICTURE = "\u2190"
"""From here on, characters that are neither letters nor digits are arrows, signs and emojis."""


def cleaned(text: str) -> tuple[str, list[int] | None]:
    """Return the composed text without control characters, and each character's place in the source. If no
    place has changed, the places are None. White space stays as it is."""
    if text.replace("\n", " ").isprintable() and unicodedata.is_normalized("NFC", text):
        return text, None  # nearly every text, and quicker by far
    places = [place for place, character in enumerate(text) if _stays(character)]
    characters = text if len(places) == len(text) else "".join(text[place] for place in places)
    if unicodedata.is_normalized("NFC", characters):
        return characters, None if len(characters) == len(text) else places
    return _composed_in_place(characters, places)


def cleaned_text(text: str) -> str:
    """Return what `cleaned` returns, without the places: most texts need no look at each character."""
    return composed(text) if text.isprintable() else cleaned(text)[0]


def composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def is_speech(text: str) -> bool:
    """Return whether the text has more than blanks, marks and punctuation."""
    if any(map(str.isalnum, text)):
        return True  # nearly every text, and quicker by far
    return any(unicodedata.category(character)[0] not in _MUTE_CATEGORIES for character in text)


def is_silent(text: str) -> bool:
    """Return whether the text has nothing but blanks, marks, punctuation and pictures: "…", or an emoji."""
    return not is_speech("".join([each for each in text if each < _FIRST_PICTURE or each.isalnum()]))


def continues(character: str) -> bool:
    """Return whether a character may join the one before: a mark, or a part of a Hangul syllable."""
    return unicodedata.category(character)[0] == "M" or "\u1160" <= character <= "\u11ff"


def _stays(character: str) -> bool:
    if character.isspace() or character in _ALLOWED_FORMATS:
        return True
    return unicodedata.category(character) not in _REMOVED_CATEGORIES


def _composed_in_place(characters: str, places: list[int]) -> tuple[str, list[int]]:
    """Compose cluster by cluster; each character of a cluster has the place of the cluster's start."""
    whole = composed(characters)
    pieces: list[str] = []
    composed_places: list[int] = []
    begin = 0
    for end in range(1, len(characters) + 1):
        if end < len(characters) and continues(characters[end]):
            continue
        piece = composed(characters[begin:end])
        pieces.append(piece)
        # Later characters of a cluster keep their own places, so that places never go back.
        composed_places += [places[min(begin + index, end - 1)] for index in range(len(piece))]
        begin = end
    if "".join(pieces) != whole:
        # No known characters compose across such clusters. If some did, places would be only about right.
        composed_places = [places[index * len(places) // len(whole)] for index in range(len(whole))]
    return whole, composed_places


_SPACES = re.compile(r"\s+")


def without_unknown(text: str, is_known: Callable[[str], bool]) -> str:
    """Leave out marks and symbols that the vocabulary lacks. Raise UnsupportedText for a letter."""
    characters = []
    for character in text:
        if is_known(character):
            characters.append(character)
        elif unicodedata.category(character)[0] in "LMN":
            name = unicodedata.name(character, f"U+{ord(character):04X}")
            raise UnsupportedText(f"This model cannot read the character {name}.")
        else:
            characters.append(" ")
    return _SPACES.sub(" ", "".join(characters)).strip()
