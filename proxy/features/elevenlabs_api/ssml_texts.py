"""Texts with elements of SSML, as a client sends them: an element may be cut over several messages."""

from __future__ import annotations

import re

from policies.lexicon import Words
from proxy.text_rules.ssml_body import read_speech

MOST_HELD = 2_000
"""So many characters may wait for the end of an element."""

_TAG = re.compile(r"<(?:!--.{0,500}?-->|!\[CDATA\[.{0,500}?\]\]>|[!?][^<>]*>|(/?)[A-Za-z][^<>]*>)", re.DOTALL)
"""A tag has a first group, and a comment, a declaration or an instruction has none."""
_OPEN_END = re.compile(r"(?:<(?:[A-Za-z/!?][^<>]*)?|&[#0-9A-Za-z]{0,8})\Z")


class SsmlTexts:
    """The texts of one context. An element that is not whole waits for the next message, or for a flush."""

    def __init__(self) -> None:
        self._held = ""

    @property
    def is_holding(self) -> bool:
        return bool(self._held)

    def read_elements(self, text: str, *, is_flush: bool = False) -> tuple[str, Words]:
        """Return what all that is whole says, and the sounds of its words. At a flush, an element that is not
        whole is a fault. Raises InvalidRequest."""
        sent = self._held + text
        # Nothing but `>` can end an element. A single `<` may be no element.
        is_inside = len(self._held) > 1 and self._held[0] == "<"
        whole_length = 0 if is_inside and ">" not in text else _whole_end(sent)
        if is_flush or len(sent) - whole_length > MOST_HELD:
            whole_length = len(sent)
        whole_text, self._held = sent[:whole_length], sent[whole_length:]
        if not whole_text:
            return "", {}
        read = read_speech(whole_text, is_lenient=True)
        # Blanks at the ends divide its words from those of other messages.
        before, after = (" " if each.isspace() else "" for each in (whole_text[0], whole_text[-1]))
        return f"{before}{read.text}{after}" if read.text else before, read.words


def _whole_end(text: str) -> int:
    """Return the place before the first element, tag or entity that is not whole, or the end."""
    depth = begin = 0
    for tag in _TAG.finditer(text):
        if tag[1] is None:
            continue
        if tag[1]:
            depth = max(0, depth - 1)
        elif not tag[0].endswith("/>"):
            begin = begin if depth else tag.start()
            depth += 1
    if depth:
        return begin
    open_end = _OPEN_END.search(text)
    return len(text) if open_end is None else open_end.start()
