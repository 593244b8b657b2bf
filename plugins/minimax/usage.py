"""Count a text as MiniMax does, as far as its published answers show.

If MiniMax says what it billed, that number is used and not this one.
"""

from __future__ import annotations

import re

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")


def characters(text: str) -> int:
    """Count a Han character as 2 and everything else as 1, blanks and pause marks too."""
    return len(text) + len(_HAN.findall(text))
