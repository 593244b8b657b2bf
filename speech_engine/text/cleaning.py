"""What every text goes through before a rule looks at it: NFC, without what nobody sees or hears."""

from __future__ import annotations

import unicodedata

# Format characters that are part of the writing: the joiners of Indic scripts, Persian and emoji, and
# the Arabic, Syriac and Kaithi signs that stand around a number.
JOINERS = "\u200c\u200d"
_NUMBER_SIGNS = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u08e2\U000110bd\U000110cd"
_KEPT_FORMATS = frozenset(JOINERS + _NUMBER_SIGNS)
_REMOVED_CATEGORIES = frozenset(("Cc", "Cf", "Cs"))
_MUTE_CATEGORIES = frozenset("CMPZ")


def cleaned(text: str) -> tuple[str, list[int] | None]:
    """The text without control characters and composed, and each character's place in the source; None
    where all stand where they stood. White space stays as it is."""
    if text.isascii() and text.isprintable():
        return text, None  # nearly every English text, and quicker by far
    places = [place for place, character in enumerate(text) if _is_kept(character)]
    kept = text if len(places) == len(text) else "".join(text[place] for place in places)
    if unicodedata.is_normalized("NFC", kept):
        return kept, None if len(kept) == len(text) else places
    return _composed_in_place(kept, places)


def composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def is_speech(text: str) -> bool:
    """Whether there is anything but blanks, marks and punctuation."""
    return any(unicodedata.category(character)[0] not in _MUTE_CATEGORIES for character in text)


def continues(character: str) -> bool:
    """Whether it may grow together with the one before it: a mark, or a part of a Hangul syllable."""
    return unicodedata.category(character)[0] == "M" or "\u1160" <= character <= "\u11ff"


def _is_kept(character: str) -> bool:
    if character.isspace() or character in _KEPT_FORMATS:
        return True
    return unicodedata.category(character) not in _REMOVED_CATEGORIES


def _composed_in_place(kept: str, places: list[int]) -> tuple[str, list[int]]:
    """Composed cluster by cluster; each character of a cluster comes from where the cluster began."""
    whole = composed(kept)
    pieces: list[str] = []
    found: list[int] = []
    begin = 0
    for end in range(1, len(kept) + 1):
        if end < len(kept) and continues(kept[end]):
            continue
        piece = composed(kept[begin:end])
        pieces.append(piece)
        # Beyond the first ones a cluster's characters follow their own, so that places never fall.
        found += [places[min(begin + index, end - 1)] for index in range(len(piece))]
        begin = end
    if "".join(pieces) != whole:
        # Nothing known composes across such clusters; were there any, places would only be about right.
        found = [places[index * len(places) // len(whole)] for index in range(len(whole))]
    return whole, found
