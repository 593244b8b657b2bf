"""The size of a JSON text after decoding, counted without decoding it.

Decoded lists take up to fifty times the bytes of the text, and decoding keeps the interpreter's lock. A limit
on the length of a list comes too late: it is checked after the list was built.
"""

from __future__ import annotations

MOST_STRUCTURE = 8 * 1024
"""A thousand words of a lexicon need 2000 bytes of structure, and 500 chapters need 3000."""
ESCAPE_BYTES = 6
"""The most bytes that JSON needs for a character: `\\u00e9`."""

_SLICE = 16 * 1024
# The bytes of UTF-8 after the first byte of a character.
_CONTINUATION = bytes(range(0x80, 0xC0))
_BLANKS = b" \t\r\n"


def json_size(text: bytes | memoryview, most_structure: int = MOST_STRUCTURE) -> tuple[int, int]:
    """Return the structure and the characters of a JSON text.

    The structure counts the bytes outside of strings that are no blanks: at least one for each value, and one
    for each digit of a number. The characters are about those in strings.
    """
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
    return structure, characters
