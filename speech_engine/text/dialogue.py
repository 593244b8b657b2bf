"""Finds the ends of sentences in dialogue, which has marks of its own inside a sentence."""

from __future__ import annotations

import re

from speech_engine.text.sentences import base_language, sentence_ends

may_be_dialogue = re.compile(r"[\"“”„«»‹›‘]|(?<!\w)['’]|[—–]|(?:[?!…]|\.\.\.)[^\S\n]*-").search
"""A quick check: most texts have none of these, and need no more than `sentence_ends`."""

# sentencex cuts nothing between quotation marks, however long a speech is.
_OPENING = re.compile(r"(?<![^\s(\[—–-])(?:[\"'“„‘‹](?=[\w¿¡—–-])|«)|(?<!\S)»(?=\w)")
_STRAIGHT = re.compile(r"(?<=[.?!…])[\"']")
# "Where?" she asked. —¿Dónde? —dijo. What is said has a mark of its own, and the sentence goes on.
_CLOSED = r"[.?!…।](?:[^\S\n]?»|[\"”“«’'›])+"
_DASHED = r"(?:[?!…]|\.\.\.)(?=[^\S\n]*[—–-])|^[^\S\n]*[—–][^.?!…\n]*[?!…]+"
_BLANK = r"(?:[^\S\n]|[—–-])*"
_GOES_ON = re.compile(rf"(?:{_CLOSED}|{_DASHED})(?:(?=[,;:])|{_BLANK}(?=([^\W\d_])))", re.MULTILINE)

# "Where?" I asked. "Where?" Mrs. Hill asked.
_ENGLISH_SPEAKER = re.compile(
    r"I [a-z]|(?:[A-Z][\w.'’-]*+ ){1,3}(?:asked|said|told|cried|whispered|replied|answered|shouted|called|"
    r"yelled|exclaimed|murmured|muttered|added)\b"
)


def dialogue_ends(text: str, language: str) -> list[int]:
    """Return what `sentence_ends` does, with the sentences of a speech, and with no end before "she asked".

    What follows a mark goes on if it does not begin with a capital letter, or names the speaker in English.
    """
    ends = sentence_ends(_STRAIGHT.sub("”", _OPENING.sub("—", text)), language)
    is_english = base_language(language) == "en"
    marks = (
        mark
        for mark in _GOES_ON.finditer(text)
        if not (mark[1] or "").isupper() or (is_english and _ENGLISH_SPEAKER.match(text, mark.end()))
    )
    inside = {at for mark in marks for at in range(mark.start() + 1, mark.end() + 1)}
    return [at for at in ends if at not in inside]
