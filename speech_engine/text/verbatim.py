"""Addresses: what a front-end says as it is written, since whoever hears it may want to type it."""

from __future__ import annotations

import re

from speech_engine.text.draft import Draft

# Those that are words of a language as well are left out: a blank may just be missing.
_DOMAINS = "com|org|net|edu|gov|info|io|ai|app|dev|tv|br|pt|es|uk|ng|mx|ar|de|fr|eu|th|jp"
_LABEL = r"[^\W_](?:[\w-]{0,62})"
# A full stop or a bracket behind an address belongs to the sentence.
_REST = r"""[^\s<>"]*[^\s<>".,;:!?)\]}'’”»]"""

_ADDRESS = re.compile(
    # Not `\b`: where nobody writes blanks, a letter of another script may stand before it.
    rf"(?<![A-Za-z0-9])(?:https?|ftp)://{_REST}"
    rf"|(?<![A-Za-z0-9])www\.{_REST}"
    rf"|(?<![\w.+%-])[\w.+%-]{{1,64}}@(?:{_LABEL}\.){{1,8}}[^\W\d_]{{2,24}}(?!\w)"
    rf"|(?<![\w.@-])(?:{_LABEL}\.){{1,8}}(?:{_DOMAINS})(?![\w-])(?:/{_REST})?"
    r"|(?<![\w@])@[A-Za-z_]\w{1,63}"
)
# Hardly any text has one of these, and looking for an address takes ten times as long.
_HINT = re.compile(r"[@/]|\.(?=\w)")


def keep_addresses(draft: Draft) -> None:
    """Pages with their scheme or without, mailboxes, names on a network: in linear time."""
    if _HINT.search(draft.text):
        draft.keep(_ADDRESS)
