"""How large a JSON text will be once it is decoded, found by a count that builds nothing.

A body of lists takes up to fifty times its bytes, and decoding keeps the interpreter's lock. A limit on a
list's length comes too late: it is checked when the list is built.
"""

from __future__ import annotations

from typing import NamedTuple

MOST_STRUCTURE = 8 * 1024
"""A thousand words of a lexicon have 2000 bytes of it, and 500 chapters 3000."""
ESCAPE_BYTES = 6
"""The most bytes that JSON needs for a character: `\\u00e9`."""

_SLICE = 16 * 1024
# The bytes of UTF-8 behind the first one of a character.
_CONTINUATION = bytes(range(0x80, 0xC0))
_BLANKS = b" \t\r\n"


class JsonSize(NamedTuple):
    """`structure` counts the bytes outside of texts that are no blanks: each value has one at least, and a
    number one for each digit. There are about so many `characters`, or more if they are escaped."""

    structure: int
    characters: int


def json_size(text: bytes | memoryview, most_structure: int = MOST_STRUCTURE) -> JsonSize:
    """Measure valid JSON. It stops behind `most_structure`. Other threads get their turn between slices."""
    structure = characters = 0
    is_in_text = is_escaped = False
    for first in range(0, len(text), _SLICE):
        part = bytes(text[first + is_escaped : first + _SLICE])
        plain = part.replace(b"\\\\", b"")
        is_escaped = plain.endswith(b"\\")
        characters += (len(part) - len(plain)) // 2 + len(plain.translate(None, _CONTINUATION))
        # Two escapes with an `u` may be one character.
        characters -= plain.count(b"\\") + plain.count(b"\\u") * 9 // 2
        pieces = plain.replace(b'\\"', b"").split(b'"')
        structure += len(b"".join(pieces[is_in_text::2]).translate(None, _BLANKS))
        is_in_text ^= len(pieces) % 2 == 0
        if structure > most_structure:
            break
    return JsonSize(structure, characters)
