"""How texts of each language are prepared: signs that the models' training texts never had.

A model cannot tell its language: it is what the operator says when it is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from plugins.pocket.sizes import PocketSizes

_APOSTROPHES: Final = dict.fromkeys("’‘", "'")
_QUOTES: Final = dict.fromkeys('"“”„«»', "")
_BRACKETS: Final = dict.fromkeys("()[]", "")


class Preparation(NamedTuple):
    """What is written otherwise, by character, before a text is read."""

    replaces: Mapping[str, str] = {}
    removes_semicolons: bool = False


_ENGLISH: Final = Preparation(_APOSTROPHES)
_ENGLISH_OF_SMALL: Final = Preparation(_APOSTROPHES | dict.fromkeys("–—", ","))
_OTHERS: Final = _APOSTROPHES | _QUOTES | _BRACKETS | {"–": ","}
_BY_LANGUAGE: Final = {
    "en": _ENGLISH,
    "fr": Preparation(_OTHERS | {":": ","}, removes_semicolons=True),
    "de": Preparation(_OTHERS | {"—": ","}, removes_semicolons=True),
    "es": Preparation(_OTHERS | dict.fromkeys("¡¿", "")),
    **dict.fromkeys(("it", "pt", "nl"), Preparation(_OTHERS)),
}


def preparation_of(language: str, sizes: PocketSizes) -> Preparation:
    """Return how texts are prepared for a model of this language. Of an unknown one, nothing is replaced."""
    base = language.split("-")[0].lower()
    if base == "en" and sizes.z:
        return _ENGLISH_OF_SMALL
    return _BY_LANGUAGE.get(base, Preparation())
