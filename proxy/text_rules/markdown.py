"""A text without its Markdown, with the place of each character in the text that was sent."""

from __future__ import annotations

import re

from policies.reading import Code, Reading, TextRule
from proxy.text_rules import marks
from speech_engine.text.cleaning import is_speech

may_have_marks = re.compile(r"[*_`#/\]]|-[ \t]|^[ \t]*>", re.MULTILINE).search
"""A quick check of a text, true if it may have marks."""


def read_markdown(text: str, code: Code = "skip") -> Reading | None:
    """Return the reading of a text, or None if it has no marks, or nothing but marks. It takes milliseconds:
    call it in a thread."""
    if not may_have_marks(text):
        return None
    unread = frozenset(marks.unread_link_places(text))
    read = marks.unmarked_places(text, reads_code=code == "read")
    places = tuple([place for place in read if place not in unread])
    read_text = "".join([text[place] for place in places])
    if not is_speech(read_text):
        # A text of code alone is read.
        return read_markdown(text, "read") if code == "skip" else None
    return Reading(read_text, places) if len(places) < len(text) else None


RULES = (TextRule(may_have_marks, read_markdown),)
"""The core finds these by their name."""
