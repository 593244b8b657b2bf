"""Finds addresses, which a front-end says as they are written, since a listener may want to type them."""

from __future__ import annotations

import re

from speech_engine.text.draft import Draft

# Endings that are also words of a language are left out: a blank may be missing.
_DOMAINS = "com|org|net|edu|gov|info|io|ai|app|dev|tv|br|pt|es|uk|ng|mx|ar|de|fr|eu|th|jp"
_LABEL = r"[^\W_](?:[\w-]{0,62})"
# A full stop or a bracket behind an address belongs to the sentence.
_REST = r"""[^\s<>"]*[^\s<>".,;:!?)\]}'’”»]"""

_ADDRESS = re.compile(
    # Not `\b`: in a script without blanks, a letter may stand before the address.
    rf"(?<![A-Za-z0-9])(?:https?|ftp)://{_REST}"
    rf"|(?<![A-Za-z0-9])www\.{_REST}"
    rf"|(?<![\w.+%-])[\w.+%-]{{1,64}}@(?:{_LABEL}\.){{1,8}}[^\W\d_]{{2,24}}(?!\w)"
    rf"|(?<![\w.@-])(?:{_LABEL}\.){{1,8}}(?:{_DOMAINS})(?![\w-])(?:/{_REST})?"
    r"|(?<![\w@])@[A-Za-z_]\w{1,63}"
)
# Few texts have one of these, and the search for an address takes ten times as long.
_HINT = re.compile(r"[@/]|\.(?=\w)")


def keep_addresses(draft: Draft) -> None:
    """Find pages with or without a scheme, mailboxes and network names, in linear time."""
    if _HINT.search(draft.text):
        draft.keep(_ADDRESS)
