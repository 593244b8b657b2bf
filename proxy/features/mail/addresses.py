"""Which texts are addresses of mail. The rule is stricter than the standard: no quotes, no comments."""

from __future__ import annotations

import re

MOST_CHARACTERS = 254
_ATOM = r"[\w!#$%&'*+/=?^`{|}~-]+"
_LOCAL = rf"(?=.{{1,64}}@){_ATOM}(?:\.{_ATOM})*"
_LABEL = r"(?!-)[^\W_](?:[\w-]{0,61}[^\W_])?"
# No domain ends with a number: an IP address does, also in odd spellings.
_NO_NUMBER = r"(?!(?:\d+|0[xX][\da-fA-F]*)\Z)"
_ADDRESS = re.compile(rf"{_LOCAL}@(?:{_LABEL}\.)+{_NO_NUMBER}{_LABEL}")


def is_mail_address(text: str) -> bool:
    """Tell whether a text is one address, and nothing else: no name, no blank, no second address."""
    return len(text) <= MOST_CHARACTERS and _ADDRESS.fullmatch(text) is not None and text.isprintable()
