"""What engines share that read texts by espeak-ng: texts that cannot harm it, and sounds in short pieces."""

from __future__ import annotations

import re
from collections.abc import Iterator

_CLAUSE_ENDS = ",;:"

# A NUL would end the text. Brackets open espeak-ng's own notation, and a backtick may end some voices.
_UNSAFE = re.compile(r"[\x00`\[\]]")
# Arrows, boxes, emoji and letters of rare scripts: espeak-ng would spell their names.
_UNREAD = re.compile(r"[\u2190-\u2bff\ua000-\uabff\ue000-\uf8ff\U00010000-\U0010ffff]")
# espeak-ng collects a word, or letters with dots, in a buffer of fixed size.
_LONG = re.compile(r"(\S{60})\S")
_DOTTED = re.compile(r"(?:[^\s.]{1,6}\.\s{0,2}){9,}")


def safe_text(text: str) -> str:
    """Return a text that cannot harm espeak-ng. What is replaced becomes one blank."""
    plain = _UNREAD.sub(" ", _UNSAFE.sub(" ", text))
    plain = _DOTTED.sub(lambda found: found[0].replace(".", " "), plain)
    return _LONG.sub(r"\1 ", plain)


def cut_sounds(sounds: list[str], most: int) -> Iterator[list[str]]:
    """Cut a long sentence after a comma, else between two words, or anywhere if a word is that long."""
    while len(sounds) > most:
        gaps = [at for at in range(most // 3, most) if sounds[at] == " "]
        clauses = [at for at in gaps if sounds[at - 1] in _CLAUSE_ENDS]
        end = max(clauses or gaps, default=most)
        yield sounds[:end]
        sounds = sounds[end:]
    yield sounds
