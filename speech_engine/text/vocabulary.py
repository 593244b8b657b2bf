"""What a model's vocabulary lacks: signs are left out, and letters are refused by name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from speech_engine.errors import UnsupportedText

_SPACES = re.compile(r"\s+")


def without_unknown(text: str, is_known: Callable[[str], bool]) -> str:
    """Leave out marks and symbols that the vocabulary lacks. Raise UnsupportedText for a letter."""
    kept = []
    for character in text:
        if is_known(character):
            kept.append(character)
        elif unicodedata.category(character)[0] in "LMN":
            called = unicodedata.name(character, f"U+{ord(character):04X}")
            raise UnsupportedText(f"This model cannot read the character {called}.")
        else:
            kept.append(" ")
    return _SPACES.sub(" ", "".join(kept)).strip()
