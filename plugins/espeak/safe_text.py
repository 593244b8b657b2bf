"""Make texts safe for the library, which does not check the length of a word.

espeak-ng 1.52 writes past its buffers for some texts, and ends the process with all of its jobs. Each unsafe
character becomes one blank, so that word times still count the characters of the text.
"""

from __future__ import annotations

import re
import unicodedata

# A NUL would end the text, and a pair of brackets opens the library's phoneme notation. In Vietnamese, a
# bracket or a backtick may end the process, and in Bulgarian ℹ behind a letter. None of them is spoken.
_UNSAFE = re.compile(r"[\x00`\[\]\u2139]")

# Letters of scripts that no voice of ours reads; arrows, boxes, circled letters, Braille, emoji. The library
# spells them by names, partly from other languages, and some of those end some voices. Wide letters too.
_UNREAD = re.compile(
    r"[\u0700-\u08ff\u0f00-\u0fff\u1100-\u1c8f\u1cc0-\u1dff\u2190-\u2dff\ua000-\uabff\ud7b0-\uf8ff\uff00-\uffef"
    r"\U00010000-\U0010ffff]"
)

# A sign with a name, as ©, is spoken by its name. Within a word, the name may not fit.
_SIGN = re.compile(r"(?<=[^\W\d_])([^\w\s])(?=[^\W\d_])")

# The library takes letters with dots, as in U.S.A., for one word. Its buffer has some two hundred bytes.
_DOTTED = re.compile(r"(?:[^\s.]{1,6}\.\s{0,2}){9,}")

# After three times the same letter, as in "W W W W", most voices leave out the others up to a pause.
_REPEATED = re.compile(r"\b(([^\W\d_])(?:[\s.]+\2\b){2}[\s.]*)\s(?=\2\b)", re.IGNORECASE)

# The European Portuguese voice ends at a handful of these in one text.
_UNBEARABLE = {"roa/pt": "©"}

_LONG = re.compile(r"\S{40,}")
_MOST_CHARACTERS, _MOST_BYTES = 64, 120
"""The longest word. No language of the voice has longer words."""


def safe(text: str, identifier: str) -> str:
    """Return the text with blanks in place of characters that are unsafe for this voice file."""
    if (sign := _UNBEARABLE.get(identifier)) is not None:
        text = text.replace(sign, " ")
    without = _SIGN.sub(_without_name, _UNREAD.sub(_plain, _UNSAFE.sub(" ", text)))
    without = _REPEATED.sub(r"\1,", without)
    undotted = _DOTTED.sub(lambda run: run[0].replace(".", " "), without)
    return _LONG.sub(lambda word: _cut(word[0]), undotted)


def _plain(letter: re.Match[str]) -> str:
    """Return the plain letter of a styled one, such as 𝓗 or Ⓗ, or a blank."""
    plain = unicodedata.normalize("NFKC", letter[0])
    return plain if len(plain) == 1 and plain.isalnum() and not _UNREAD.match(plain) else " "


def _without_name(sign: re.Match[str]) -> str:
    is_named = not sign[0].isascii() and unicodedata.category(sign[0]).startswith("S")
    return " " if is_named else sign[0]


def _cut(word: str) -> str:
    characters: list[str] = []
    length = size = 0
    for character in word:
        length, size = length + 1, size + len(character.encode(errors="replace"))
        if not (character == "." or unicodedata.category(character)[0] in "LMN"):
            length = size = 0
        elif length > _MOST_CHARACTERS or size > _MOST_BYTES:
            character, length, size = " ", 0, 0
        characters.append(character)
    return "".join(characters)
